"""The JavaScript SDK as a face: one process of Node.js, which is asked by lines of JSON."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec

from aurra.ops import Operation
from tests.js import node
from tests.parity.face import Json, Told

PROGRAM = Path(__file__).with_name("face.mjs")
LONGEST_LINE = 16 * 1024 * 1024


class Failed(Exception):
    """The SDK got no answer, or found what was asked to be none."""


class _Line(msgspec.Struct):
    status: int = 0
    body: Json = {}
    failed: str | None = None


class JsFace:
    """Asks one service. Made by `js_face`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """The answer, not asked for again whatever it is. Raises Failed where the SDK got none."""
        asked = {"op": op.name, "fields": fields, "apiKey": api_key, "idempotencyKey": idempotency_key}
        reader, writer = self._process.stdout, self._process.stdin
        assert reader is not None and writer is not None
        async with self._turn:
            writer.write(msgspec.json.encode(asked) + b"\n")
            await writer.drain()
            line = msgspec.json.decode(await reader.readuntil(), type=_Line)
        if line.failed is not None:
            raise Failed(f"{op.name}: {line.failed}")
        return Told(line.status, line.body)


@contextlib.asynccontextmanager
async def js_face(url: str) -> AsyncGenerator[JsFace]:
    """The face of a service. The SDK must have been built, as `make test-js` does."""
    environment = await asyncio.to_thread(node.environment)
    process = await asyncio.create_subprocess_exec(
        shutil.which("node", path=environment["PATH"]) or "node",
        str(PROGRAM),
        url,
        env={name: value for name, value in environment.items() if not name.startswith("AURRA_")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    assert process.stdin is not None
    try:
        yield JsFace(process)
    finally:
        process.stdin.close()
        await process.wait()
