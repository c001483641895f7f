"""The command line, as the parity test asks it: `aurra NOUN VERB … --json` against a URL."""

import msgspec

from aurra.ops import Operation
from tests.faces.commanding import command
from tests.faces.speaking import command_of, said
from tests.parity.face import Json, Told


class CliFace:
    """Each field is given by itself, as an argument or an option; what cannot be said so, in `--from-file`."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(
        self, op: Operation, fields: Json, *, api_key: str | None, idempotency_key: str | None = None
    ) -> Told:
        """See `Face`."""
        described = command_of(op)
        arguments = [described.group, described.verb, "--url", self._url, "--json"]
        arguments += ["--key", api_key] if api_key is not None else []
        if idempotency_key is not None and op.is_idempotent:
            arguments += ["--idempotency-key", idempotency_key]
        words, document = said(described, fields)
        arguments += ["--from-file", "-"] if document is not None else []
        done = await command(*arguments, *words, stdin=document)
        # What the service logs in this process may stand between.
        answers = [line for line in done.out.splitlines() if line.startswith("{")]
        if answers:
            return Told(200, msgspec.json.decode(answers[-1]))
        assert done.code not in (0, 2), done
        return Told(done.problem["status"], done.problem)
