"""Commands in this process: the same code as `aurra …`, without the seconds that a process takes."""

import asyncio
import re
from typing import Any

import msgspec
from click.testing import CliRunner

from aurra.main import main

_OURS = (
    *("AURRA_BASE_URL", "AURRA_API_KEY", "AURRA_TENANT_ID", "AURRA_SIGNING_SECRET", "AURRA_HOME", "DATABASE_URL"),
    *("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "COLUMNS"),
)


class Ran(msgspec.Struct, frozen=True):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which is one line of JSON."""
        (line,) = self.out.splitlines()
        return msgspec.json.decode(line)

    @property
    def problem(self) -> Any:
        """What it said on standard error with --json."""
        return msgspec.json.decode(self.err.splitlines()[-1])


def run(*arguments: str, stdin: str | bytes | None = None, **environment: str) -> Ran:
    """Runs `aurra` with these arguments; of our variables, only those given are set."""
    variables: dict[str, str | None] = {**dict.fromkeys(_OURS), **environment}
    done = CliRunner().invoke(main, arguments, input=stdin, env=variables, prog_name="aurra")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\w+ *\] .*\n", re.MULTILINE)
_one = asyncio.Lock()
"""A runner has this process's standard output for itself."""


async def command(*arguments: str, stdin: str | bytes | None = None, **environment: str) -> Ran:
    """The same beside a service in this process."""
    async with _one:
        done = await asyncio.to_thread(run, *arguments, stdin=stdin, **environment)
    # The service logs to the same standard output here.
    return Ran(done.code, _LOGGED.sub("", done.out), done.err)
