"""What a face costs: `python -m tests.bench.faces` (`make bench-faces`).

The same twenty memories by REST, MCP and GraphQL: CPU of the service's process a request, as ratios to REST in the same
run. And what the Python SDK adds to a bare HTTP client that decodes the same answer, in CPU of this process. Without an
embedder; nothing is asserted.
"""

import http.client
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec
from aurra_sdk import Aurra

from aurra.ops import OPERATIONS
from tests.bench.running import Caller, Failed, Processor, Running, serving, table, temporary_home
from tests.parity.face_graphql import query_of

MEMORIES = 20
ROUNDS = 7
REQUESTS = 300
MCP_AIM, GRAPHQL_AIM, SDK_AIM = 3.0, 6.0, 1.0
LIST = OPERATIONS["memories.list"]
_NODE = "id decision topic subject attribute source importance_score valid_from valid_to created_at superseded_by"
_COLLECTION = f"{{ memoriesCollection(first: {MEMORIES}) {{ edges {{ cursor node {{ {_NODE} }} }} }} }}"


class Line:
    """One kept connection to the service, with a key."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        }

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer of a request that must succeed."""
        sent = None if body is None else msgspec.json.encode(body)
        self._connection.request(method, path, sent, self._headers)
        response = self._connection.getresponse()
        found = msgspec.json.decode(response.read())
        if response.status != 200 or "error" in found or "errors" in found:
            raise Failed(f"{method} {path} answered {response.status}: {str(found)[:300]}")
        return found


def requests(line: Line) -> dict[str, Callable[[], object]]:
    """What is asked, each for the same memories."""
    call = {"name": LIST.id, "arguments": {"limit": MEMORIES}}
    operation, variables = query_of(LIST, {"limit": MEMORIES})
    return {
        "REST": lambda: line.send("GET", f"{LIST.path}?limit={MEMORIES}"),
        "MCP": lambda: line.send("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}),
        "GraphQL, every field": lambda: line.send("POST", "/graphql", {"query": operation, "variables": variables}),
        "GraphQL, the collection": lambda: line.send("POST", "/graphql", {"query": _COLLECTION}),
    }


def spent(running: Running, ask: Callable[[], object]) -> float:
    """CPU milliseconds of the service a request."""
    before = Processor(running)
    for _ in range(REQUESTS):
        ask()
    cpu, _ = before.spent()
    return 1000 * (cpu or 0.0) / REQUESTS


def own(ask: Callable[[], object]) -> float:
    """CPU milliseconds of this process a request."""
    began = time.process_time()
    for _ in range(REQUESTS):
        ask()
    return 1000 * (time.process_time() - began) / REQUESTS


def of_faces(running: Running, line: Line) -> list[list[str]]:
    """A row for each face."""
    asked = requests(line)
    for ask in asked.values():
        spent(running, ask)
    rounds = {name: [0.0] * ROUNDS for name in asked}
    for number in range(ROUNDS):
        for name, ask in asked.items():
            rounds[name][number] = spent(running, ask)
    rows = [["REST, CPU of the service a request", f"{statistics.median(rounds['REST']):.2f} ms", "", ""]]
    for name in list(asked)[1:]:
        ratio = statistics.median(one / rest for one, rest in zip(rounds[name], rounds["REST"], strict=True))
        aim = MCP_AIM if name == "MCP" else GRAPHQL_AIM
        rows.append([f"{name} / REST", f"{ratio:.2f} ×", f"≤ {aim:g} ×", "yes" if ratio <= aim else "NO"])
    return rows


def of_sdk(url: str, key: str) -> list[str]:
    """What the SDK adds, the median over the rounds."""
    with Aurra(key, base_url=url) as client, httpx2.Client(headers={"Authorization": f"Bearer {key}"}) as bare:

        def plainly() -> object:
            response = bare.get(f"{url}{LIST.path}", params={"limit": MEMORIES})
            return msgspec.json.decode(response.content)

        def by_sdk() -> object:
            return client.memories.list(limit=MEMORIES)

        own(plainly)
        own(by_sdk)
        added = statistics.median(own(by_sdk) - own(plainly) for _ in range(ROUNDS))
    return [
        "Python SDK beyond a bare client, its own CPU a call",
        f"{added:.3f} ms",
        f"≤ {SDK_AIM:g} ms",
        "yes" if added <= SDK_AIM else "NO",
    ]


def measure() -> str:
    """The table."""
    with temporary_home() as home, serving(home, "none") as running:
        running.command("accounts", "create", "bench")
        made = running.command("keys", "create", "--account", "bench", "--json")
        key = msgspec.json.decode(made)["key"]
        writer = Caller(running.port, key)
        for number in range(MEMORIES):
            writer.post("/agent/memories", content=f"Kim bought chair {number}", subject="kim")
        rows = of_faces(running, Line(running.port, key))
        rows.append(of_sdk(f"http://127.0.0.1:{running.port}", key))
    return table([f"{MEMORIES} memories by each face", "value", "aim", "reached"], rows)


if __name__ == "__main__":
    print(measure())
