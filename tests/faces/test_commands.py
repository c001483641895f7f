"""Operations as commands, in this process, against a service on a socket."""

import asyncio
import contextlib
import itertools
import re
import shlex
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import UNSET, Meta, UnsetType

from aurra import keys
from aurra.faces import decoding, naming
from aurra.faces.commands import describing, stopping
from aurra.faces.commands.group import Aurra
from aurra.faces.ways import Endpoint, Reply
from aurra.main import main
from aurra.ops import OPERATIONS, Operation
from aurra.ops.registry import operation
from aurra.serving import main as operators
from aurra.types.accounts import PlanStatus
from aurra.types.common import Request
from tests.conftest import Account, MakeAccount
from tests.faces.commanding import Ran, command, run
from tests.faces.speaking import command_of, said
from tests.running import free_port

Json = dict[str, Any]
SAMPLES: Json = {
    "text": "a text",
    "whole": 7,
    "number": 0.5,
    "flag": True,
    "moment": 12,
    "texts": ["one", "two"],
}
"""A value of each kind."""


class Recorder:
    """A way to nowhere, which keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Json]] = []

    async def ask(self, op: Endpoint, arguments: Json, idempotency_key: str | None = None) -> Json:
        """Keeps it."""
        return (await self.reply(op, arguments)).answer

    async def reply(
        self, op: Endpoint, arguments: Json, idempotency_key: str | None = None, *, as_page: bool = False
    ) -> Reply:
        """Keeps it."""
        self.asked.append((op.name, arguments))
        return Reply(answer={"blocked": False, "writes_used": 0, "writes_limit": 1, "writes_remaining": 1})

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Json:
        """What the command asks for."""

        @contextlib.asynccontextmanager
        async def local(account: str | None) -> AsyncGenerator[Recorder]:
            yield self

        env = {"AURRA_BASE_URL": None, "AURRA_API_KEY": None, "AURRA_TENANT_ID": None}
        place = arguments.index("--") if "--" in arguments else len(arguments)
        arguments = (*arguments[:place], "--json", *arguments[place:])
        done = CliRunner().invoke(
            Aurra(lambda: operators, local), arguments, env=env, input=stdin, catch_exceptions=False
        )
        assert done.exit_code == 0, done.stderr
        return self.asked.pop()[1]


def of(account: Account, url: str) -> dict[str, str]:
    """The environment of somebody who has this account's key."""
    return {"AURRA_BASE_URL": url, "AURRA_API_KEY": account.key}


def sample(op: Operation, field: describing.Field) -> Any:
    """A value that the field takes."""
    if field.choices:
        return field.choices[-1]
    if field.kind != "json":
        return SAMPLES[field.kind]
    # What is inside is not the command line's to know: the shape is the schema's.
    for value in ({}, [], {"provider": "openai"}, [{"role": "user", "content": "hello"}], [{"content": "a fact"}]):
        with contextlib.suppress(msgspec.ValidationError):
            type_ = next(one.type for one in msgspec.structs.fields(op.request) if one.encode_name == field.name)
            msgspec.convert(value, type_)
            return value
    raise AssertionError(f"give a value of {op.name}.{field.name}")


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=lambda op: op.name)
def test_every_operation_is_a_command_with_every_field(op: Operation) -> None:
    """`aurra NOUN VERB` takes each field by a word of its own, and sends it as its type is; alone, and all together."""
    described = command_of(op)
    assert {field.name for field in described.fields} == {
        field.encode_name for field in msgspec.structs.fields(op.request)
    }
    fields = {field.name: sample(op, field) for field in described.fields}
    words, document = said(described, fields)
    assert document is None
    recorder = Recorder()
    sent = recorder.run(described.group, described.verb, *words)
    assert sent == fields
    decoding.decode(op, msgspec.json.encode(sent), {}, {})
    required = {name: fields[name] for name in described.positional}
    assert recorder.run(described.group, described.verb, *said(described, required)[0]) == required
    helped = run(described.group, described.verb, "--help")
    assert helped.code == 0 and all(field.help.split("\n")[0][:10] in helped.out for field in described.fields)


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=lambda op: op.name)
def test_every_request_can_be_one_document(op: Operation) -> None:
    """`--from-file -`: the same fields as JSON; what is given beside it comes first."""
    described = command_of(op)
    fields = {field.name: sample(op, field) for field in described.fields}
    recorder = Recorder()
    document = msgspec.json.encode(fields)
    assert recorder.run(described.group, described.verb, "--from-file", "-", stdin=document) == fields
    for field in described.fields:
        if field.kind == "text" and not field.choices and field.name not in described.positional:
            words = said(described, {field.name: "another"})[0]
            options = [word for word in words if word.startswith("--") and word != "--"]
            found = recorder.run(described.group, described.verb, "--from-file", "-", *options, stdin=document)
            assert found == {**fields, field.name: "another"}
            break


def test_short_words_are_those_of_the_registry() -> None:
    """`command="remember {content}"`: the word, its fields by their place, the rest by name."""
    recorder = Recorder()
    short = [op for op in OPERATIONS.values() if op.command]
    assert short
    for op in short:
        word, *braces = (op.command or "").split()
        names = [brace.strip("{}") for brace in braces]
        by_place = recorder.run(word, *["x"] * len(names))
        assert by_place == dict.fromkeys(names, "x")
    assert recorder.run("diff", "3") == {"from": 3}
    assert recorder.run("remember", "--messages", '[{"role": "user", "content": "hi"}]') == {
        "messages": [{"role": "user", "content": "hi"}]
    }


def test_a_new_operation_and_a_new_field_appear_by_themselves() -> None:
    """Nothing but the registry is told of them; a name that the command line has itself is another."""

    class ThingAsked(Request, kw_only=True):
        """A thing."""

        thing_id: str
        url: Annotated[str | UnsetType | None, Meta(description="Where it is.")] = UNSET
        json: bool = False

    async def look(ctx: Any, request: ThingAsked) -> PlanStatus:
        """Looks at a thing."""
        raise AssertionError("never called")

    look.__annotations__.update({"request": ThingAsked, "return": PlanStatus})
    operation("odd_things.look_at", "GET", "/agent/things/{thing_id}", scope=keys.SCOPES[0], command="look {thing_id}")(
        look
    )
    try:
        recorder = Recorder()
        assert recorder.run("look", "x") == {"thing_id": "x"}
        words = ("odd-things", "look-at", "x", "--field-url", "null", "--field-json")
        assert recorder.run(*words) == {"thing_id": "x", "url": None, "json": True}
        assert "odd-things" in run("--help").out
    finally:
        del OPERATIONS["odd_things.look_at"]
    assert "odd-things" not in run("--help").out


def test_two_commands_of_one_name_stop_the_build() -> None:
    """A noun whose path gives it no other word, where the operator's commands have both."""
    with pytest.raises(TypeError, match="aurra api-keys"):
        describing.describe(frozenset({"keys", "api-keys"}))
    assert {one.group for one in describing.describe(frozenset({"keys"}))} >= {"api-keys", "plan"}


def test_what_stands_for_what(tmp_path: Path) -> None:
    """null where it says something; [] the empty list; @file and - for JSON; - for a text; a moment by its number."""
    recorder = Recorder()
    assert recorder.run("memories", "correct", "m", "why", "--valid-to", "null") == {
        "memory_id": "m",
        "reason": "why",
        "valid_to": None,
    }
    assert recorder.run("remember", "x", "--valid-to", "null")["valid_to"] == "null"
    assert recorder.run("settings", "update", "--excluded-categories", "[]") == {"excluded_categories": []}
    (tmp_path / "metadata.json").write_text('{"a": [1]}')
    assert recorder.run("remember", "x", "--metadata", f"@{tmp_path}/metadata.json")["metadata"] == {"a": [1]}
    assert recorder.run("remember", "x", "--metadata", "-", stdin='{"b": 2}')["metadata"] == {"b": 2}
    assert recorder.run("remember", "-", stdin="two\nlines\n") == {"content": "two\nlines"}
    assert recorder.run("memories", "list", "--transaction-as-of", "2026-01-01")["transaction_as_of"] == "2026-01-01"
    assert recorder.run("remember", "--no-dry-run", "--", "--a dash")["content"] == "--a dash"


@pytest.mark.parametrize(
    ("arguments", "said_"),
    [
        (("memories", "get"), "Missing argument MEMORY_ID"),
        (("memories", "get", ""), "Missing argument MEMORY_ID"),
        (("memories", "correct", "m"), "Missing argument REASON"),
        (("remember", "x", "--metadata", "{"), "it is JSON, @file.json, or -"),
        (("remember", "x", "--metadata", "@/no/such"), "cannot be read"),
        (("remember", "x", "--importance", "huge"), "'huge' is not one of"),
        (("memories", "list", "--limit", "many"), "'many' is not a number"),
        (("settings", "update", "--min-confidence", "nan"), "'nan' is not a number"),
        (("remember", "x", "--from-file", "/no/such"), "cannot be read"),
        (("remember", "x", "--fly"), "No such option"),
        (("memories", "fly"), "No such command"),
        (("fly",), "No such command"),
        (("plan", "status", "--url", "ftp://x"), "it begins with http:// or https://"),
        (("plan", "status", "--url", "http://x", "--key", "a key"), "characters that no key has"),
        (("plan", "status", "--url", "http://x", "--account", "y"), "--account or --url, not both"),
        (("plan", "status", "--timeout", "0"), "Invalid value for '--timeout'"),
        (("remember", "\udcff"), "it is not UTF-8"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], said_: str) -> None:
    """Said in one sentence, before anything is asked."""
    done = run(*arguments)
    assert (done.code, done.out) == (2, "") and said_ in done.err, done.err


async def test_a_life_by_commands(account: Account, url: str) -> None:
    """Remember, supersede by the slot, ask, search, look back, the difference, undo: what each prints for people."""
    env = of(account, url)
    first = (await command("remember", "Kim lives in Oslo", "--subject=kim", "--attribute=city", "--json", **env)).json
    assert first["status"] == "saved" and first["transaction"]["id"] == 1
    second = await command("remember", "Kim lives in Rome", "--subject=kim", "--attribute=city", **env)
    assert "status: saved\n" in second.out and "transaction: 2 (" in second.out and second.err == ""
    asked = await command("ask", "Where does Kim live?", **env)
    assert "answer_with_citations: Kim lives in Rome. [mem-1]\n" in asked.out
    listed = await command("memories", "list", "--include-superseded", COLUMNS="80", **env)
    header, *rows = listed.out.splitlines()[:3]
    assert header.split()[:2] == ["ID", "DECISION"] and "Kim lives in Rome" in rows[0] and "Oslo" in rows[1]
    assert all(len(line) <= 80 for line in listed.out.splitlines())
    past = (await command("memories", "list", "--transaction-as-of", "1", "--json", **env)).json
    assert [memory["decision"] for memory in past["memories"]] == ["Kim lives in Oslo"]
    page = await command("diff", "1", **env)
    assert page.out.startswith("# From transaction 1 (") and "Kim lives in Rome" in page.out
    assert (await command("diff", "1", "--json", **env)).json["changes"]
    undone = (await command("transactions", "restore", "2", "--pretty", **env)).out
    assert undone.startswith('{\n  "warnings": [],') and msgspec.json.decode(undone)["restored"] == 2
    assert (await command("memories", "get", first["memory_id"], "--json", **env)).json["memory"]["temporal"]


async def test_all_pages_are_followed_to_the_end(account: Account, url: str) -> None:
    """`--all`: every row once, newest first; with --json an object a line; without it one table, and a page says that
    there is more."""
    env = of(account, url)
    items = [{"content": f"fact number {number}"} for number in range(25)]
    await account.post("/agent/memories/bulk", memories=items)
    everything = await command("memories", "list", "--all", "--limit", "10", "--json", **env)
    rows = [msgspec.json.decode(line)["decision"] for line in everything.out.splitlines()]
    assert rows == [f"fact number {number}" for number in reversed(range(25))]
    table = await command("memories", "list", "--all", "--limit", "10", **env)
    assert len(table.out.splitlines()) == 26 and table.err == ""
    page = await command("memories", "list", "--limit", "10", **env)
    assert "there is more: --all, or --cursor " in page.err
    cursor = page.err.split()[-1]
    rest = await command("memories", "list", "--limit", "20", "--cursor", cursor, "--json", **env)
    assert len(rest.json["memories"]) == 15
    nothing = await command("reviews", "list", **env)
    assert (nothing.code, nothing.out) == (0, "") and "there is nothing" in nothing.err


async def test_warnings_are_told_beside_the_answer(account: Account, url: str, tmp_path: Path) -> None:
    """On standard error for people; in the answer with --json."""
    document = tmp_path / "request.json"
    document.write_text('{"content": "x", "colour": "red"}')
    done = await command("remember", "--from-file", str(document), **of(account, url))
    assert "aurra: warning: The field `colour` is unknown" in done.err and "colour" not in done.out
    done = await command("remember", "--from-file", str(document), "--json", **of(account, url))
    assert done.err == "" and "colour" in done.json["warnings"][0]


async def test_what_others_wrote_cannot_steer_the_terminal(account: Account, url: str) -> None:
    """Escape sequences and reversed writing are shown, in tables, details, pages and errors."""
    env = of(account, url)
    evil = "red \x1b[31m and \u202e reversed \x9b2J"
    added = await account.add(evil, subject="x\x1b]0;y\x07", attribute="a")
    for arguments in (("memories", "list"), ("memories", "get", added), ("diff", "0"), ("ask", "red reversed")):
        done = await command(*arguments, **env)
        assert done.code == 0 and "red \\x1b" in done.out
        assert not set("\x1b\u202e\x9b\x07") & set(done.out + done.err)
    assert "\x1b" not in (await command("memories", "list", "--subject", "\x1b", "--cursor", "\x1b", **env)).err


async def fill(account: Account) -> None:
    """Of the free plan, all writes are used, and those of the grace period too."""
    for first in (0, 500, 1000):
        facts = [{"content": f"fact {number}"} for number in range(first, min(first + 500, 1100))]
        await account.post("/agent/memories/bulk", memories=facts)


async def refused(*arguments: str, code: int, status: int, **env: str) -> Ran:
    """What a command says that must be refused: a sentence for people, the problem with --json."""
    done = await command(*arguments, "--json", **env)
    assert (done.code, done.out, done.problem["status"]) == (code, "", status), done
    done = await command(*arguments, **env)
    problem = f"aurra: {done.err}"
    assert done.code == code and done.err.startswith("aurra: ") and "Traceback" not in problem
    return done


async def test_exit_codes_say_what_was_refused(account: Account, make_account: MakeAccount, url: str) -> None:
    """1 the service refused, 4 the plan blocks, 5 the key is refused; each with its code and what to do."""
    env = of(account, url)
    said_ = await refused("memories", "get", "0" * 8, code=1, status=404, **env)
    assert "There is no such memory. (not_found) Check the id" in said_.err
    said_ = await refused("memories", "list", "--as-of", "soon", code=1, status=422, **env)
    assert "validation_error" in said_.err
    nobody = {**env, "AURRA_API_KEY": "aurra_live_wrong"}
    assert "(invalid_key)" in (await refused("memories", "list", code=5, status=401, **nobody)).err
    without = {**env, "AURRA_API_KEY": ""}
    assert (
        "Not authenticated (not_authenticated)" in (await refused("plan", "status", code=5, status=401, **without)).err
    )
    reader = of(await make_account(scopes="read_only", of=account.row), url)
    assert "memories:write" in (await refused("remember", "x", code=5, status=403, **reader)).err
    small = await make_account("free")
    await fill(small)
    blocked = await refused("remember", "one too many", code=4, status=402, **of(small, url))
    assert "(plan_limit_exceeded)" in blocked.err


async def test_a_key_that_was_revoked_is_exit_code_5(account: Account, make_account: MakeAccount, url: str) -> None:
    """`api-keys revoke` by one key, `revoked_key` for the other."""
    other = await make_account(of=account.row)
    key_id = keys.key_id_of(other.key) or ""
    revoked = await command("api-keys", "revoke", key_id, "--json", **of(account, url))
    assert revoked.json["api_key"]["state"] == "revoked"
    assert "(revoked_key)" in (await refused("plan", "status", code=5, status=401, **of(other, url))).err


def test_a_closed_port_is_exit_code_6() -> None:
    """Said in one sentence; with --json too."""
    url = f"http://127.0.0.1:{free_port()}"
    done = run("plan", "status", "--url", url, "--key", "aurra_live_x")
    assert (done.code, done.out) == (6, "") and f"aurra: {url} cannot be reached" in done.err
    done = run("plan", "status", "--url", url, "--json")
    assert done.code == 6 and url in done.problem["detail"] and done.problem["status"] is None
    assert run("plan", "status", "--url", "http://[1").code == 6


async def test_what_answers_and_is_no_aurra_is_exit_code_6() -> None:
    """JSON without a code, and what is no JSON; said with what it answered."""

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = bodies.pop()
        head = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    bodies = [b'{"detail": "Not Found"}', b"<html>nothing here</html>"]
    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(2):
            done = await command("plan", "status", "--url", address, "--key", "aurra_live_x")
            assert (done.code, done.out) == (6, "") and "answers 404, and not as Aurra does" in done.err


async def test_a_secret_is_printed_once_and_nowhere_else(account: Account, url: str) -> None:
    """`api-keys create` prints it on standard output; nothing of it is said beside."""
    made = await command("api-keys", "create", "memories:read", "query", "--name", "reader", **of(account, url))
    key = made.out.splitlines()[0].removeprefix("key: ")
    assert key.startswith("aurra_live_") and made.err == ""
    listed = await command("api-keys", "list", "--json", **of(account, url))
    assert key not in listed.out and {"reader"} <= {one["name"] for one in listed.json["api_keys"]}
    assert (await command("memories", "list", "--url", url, "--key", key, "--json")).code == 0


async def test_a_key_that_signs_is_used_with_its_secret(account: Account, url: str) -> None:
    """AURRA_SIGNING_SECRET: each request is signed, and the key itself is not sent; without it 401."""
    made = (await command("api-keys", "create", "full", "--is-signed", "--json", **of(account, url))).json
    env = {"AURRA_BASE_URL": url, "AURRA_API_KEY": made["key"]}
    assert (await command("plan", "status", "--json", **env)).problem["code"] == "signature_required"
    signed = {**env, "AURRA_SIGNING_SECRET": made["signing_secret"]}
    assert (await command("remember", "signed, with ümläuts", "--json", **signed)).json["status"] == "saved"
    found = await command("memories", "list", "--topic", "General", "--limit", "3", "--json", **signed)
    assert found.json["memories"][0]["decision"] == "signed, with ümläuts"


async def test_the_tenant_of_the_environment_is_filled_in(account: Account, url: str) -> None:
    """AURRA_TENANT_ID, as the SDK has it: where a tenant may stand and none does, inside lists too."""
    env = {**of(account, url), "AURRA_TENANT_ID": "acme"}
    assert (await command("remember", "ours", "--json", **env)).json["tenant_id"] == "acme"
    assert (await command("remember", "theirs", "--tenant-id", "other", "--json", **env)).json["tenant_id"] == "other"
    bulk = ("memories", "bulk", '[{"content": "one"}, {"content": "two", "tenant_id": "other"}]', "--json")
    assert (await command(*bulk, **env)).code == 0
    found = (await command("memories", "list", "--json", **env)).json
    assert [memory["decision"] for memory in found["memories"]] == ["one", "ours"]


async def test_the_same_idempotency_key_has_no_second_effect(account: Account, url: str) -> None:
    """`--idempotency-key`: answered as it was; operations that take none do not have the option."""
    arguments = ("remember", "once", "--idempotency-key", "k-1", "--json")
    first, second = [(await command(*arguments, **of(account, url))).json for _ in range(2)]
    assert first == second and await account.decisions() == ["once"]
    assert run("memories", "list", "--idempotency-key", "x").code == 2


async def test_ids_with_slashes_and_dots_stay_in_their_place(account: Account, url: str) -> None:
    """A session is any text; so is its place in a path."""
    env = of(account, url)
    for session in ("a/b", "..", ".", "50 %", "ü?#"):
        await account.post("/agent/conversations", session_id=session, turns=[{"role": "user", "content": "hi"}])
        found = await command("conversations", "get", session, "--json", **env)
        assert found.json["conversation"]["session_id"] == session


def test_the_help_of_a_command_says_what_its_arguments_are() -> None:
    """Arguments, options of the operation, and where to ask, each in a section."""
    helped = run("memories", "correct", "--help", COLUMNS="100").out
    for text in (
        "Arguments:\n",
        "MEMORY_ID",
        "What was wrong",
        "Options:\n",
        "--valid-to",
        "Where, and how:\n",
        "--url",
    ):
        assert text in helped
    assert run("--version").out.startswith("aurra, version")
    assert all(name in main.list_commands(_context()) for name in ("keys", "api-keys", "plans", "plan", "serve", "ask"))


def _context() -> click.Context:
    return click.Context(main)


def test_the_page_of_the_command_line_does_not_lie() -> None:
    """Every command that `aurra/cli.md` shows is one, and takes the options shown; its exit codes are all there are."""
    page = (Path(__file__).parents[2] / "aurra" / "cli.md").read_text("utf-8")
    shown = [line.removeprefix("$ ").split("#")[0] for line in page.splitlines() if line.startswith("$ aurra")]
    shown += re.findall(r"script: (aurra [^\n]*)", page)
    assert len(shown) > 8
    for line in shown:
        words = shlex.split(line.split(">")[0])[1:]
        options = [word for word in words if word.startswith("--")]
        helped = run(*itertools.takewhile(lambda word: re.fullmatch("[a-z-]+", word), words[:2]), "--help")
        assert helped.code == 0 and all(option in helped.out for option in options), line
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    named = {value for name, value in vars(stopping).items() if name.isupper() and isinstance(value, int)}
    assert codes == {0, 2} | named
    for op in OPERATIONS.values():
        if op.command:
            assert f"`{op.command.split()[0]}`" in page


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=lambda op: op.name)
def test_the_index_names_the_commands_that_there_are(op: Operation) -> None:
    """What GET / tells of the command line is what the command line has."""
    described = command_of(op)
    long, *short = naming.commands(op)
    assert long == f"aurra {described.group} {described.verb}"
    assert [words.split()[1] for words in short] == ([described.short] if described.short else [])
