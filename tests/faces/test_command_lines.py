"""A file of lines: any length, in batches, and nothing twice."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from aurra.faces.commands import lines
from aurra.faces.commands.lines import Line
from tests.conftest import Account, MakeAccount
from tests.faces.commanding import command, run
from tests.faces.test_commands import of

BULK = ("memories", "bulk", "--from-file")


def write(file: Path, items: list[Any]) -> str:
    """The file has an item a line."""
    file.write_bytes(b"\n".join(msgspec.json.encode(item) for item in items) + b"\n\n")
    return str(file)


def facts(count: int) -> list[dict[str, Any]]:
    """So many different memories."""
    return [{"content": f"fact number {number}", "source": "import"} for number in range(count)]


async def test_lines_are_sent_in_batches_and_again_store_nothing(account: Account, url: str, tmp_path: Path) -> None:
    """1,100 lines are three transactions; the same command again is answered from what was stored."""
    file = write(tmp_path / "items.jsonl", facts(1100))
    first = (await command(*BULK, file, "--json", **of(account, url))).json
    assert first == {
        **{"lines": 1100, "batches": 3, "replayed_batches": 0, "refused": []},
        **{"saved_count": 1100, "duplicate_count": 0, "error_count": 0},
    }
    again = await command(*BULK, file, **of(account, url))
    assert "replayed_batches: 3\n" in again.out and again.err == ""
    status = await account.get("/plan/status")
    transactions = await account.get("/agent/transactions")
    assert status["writes_used"] == 1100 and transactions["transaction"]["id"] == 3


async def test_an_interrupted_file_goes_on_where_it_was(account: Account, url: str, tmp_path: Path) -> None:
    """What was stored before is replayed; the rest is stored; lines of standard input too."""
    items = facts(700)
    part = b"".join(msgspec.json.encode(item) + b"\n" for item in items[:500])
    assert (await command(*BULK, "-", "--json", stdin=part, **of(account, url))).json["saved_count"] == 500
    whole = (await command(*BULK, write(tmp_path / "items.jsonl", items), "--json", **of(account, url))).json
    assert whole["replayed_batches"] == 1 and whole["batches"] == 2
    assert (await account.get("/plan/status"))["writes_used"] == 700


async def test_a_refused_batch_says_how_far_it_got(make_account: MakeAccount, url: str, tmp_path: Path) -> None:
    """The plan blocks in the third batch: exit code 4, what is stored, and that the command may be run again."""
    account = await make_account("free")
    done = await command(*BULK, write(tmp_path / "items.jsonl", facts(1500)), **of(account, url))
    assert (done.code, done.out) == (4, "") and "(plan_limit_exceeded)" in done.err
    assert "Lines 1001 to 1500 were not stored, 1000 before them were; the same command again" in done.err


async def test_lines_that_stand_for_themselves_are_refused_by_number(
    account: Account, url: str, tmp_path: Path
) -> None:
    """`--mode partial`: the others are stored; exit code 1, each refused line with its number, blank lines counted."""
    items = [{"content": "good"}, {"content": "bad", "importance_score": 99}, {"content": "good too"}]
    file = tmp_path / "items.jsonl"
    file.write_bytes(b"\n" + b"\n\n".join(msgspec.json.encode(item) for item in items))
    done = await command(*BULK, str(file), "--mode", "partial", **of(account, url))
    assert done.code == 1 and "error_count: 1\n" in done.out and "aurra: line 4: " in done.err
    assert await account.decisions() == ["good too", "good"]
    told = (await command(*BULK, str(file), "--mode", "partial", "--json", **of(account, url))).json
    assert [(one["line"], one["code"]) for one in told["refused"]] == [(4, "out_of_range")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"content": "x"}\n{"content": \n', "line 2 is no JSON object"),
        ('{"content": "x"}\n[1]\n', "line 2 is no JSON object"),
        ("", "it is no JSON object"),
        ("[1]", "it is no JSON object"),
    ],
)
async def test_a_file_is_looked_through_before_anything_is_sent(
    account: Account, url: str, tmp_path: Path, content: str, said: str
) -> None:
    """Exit code 2 names the line; nothing was stored."""
    (tmp_path / "items.jsonl").write_text(content)
    done = await command(*BULK, str(tmp_path / "items.jsonl"), **of(account, url))
    assert done.code == 2 and said in done.err
    assert (await account.get("/plan/status"))["writes_used"] == 0


async def test_a_document_of_one_line_is_a_document(account: Account, url: str, tmp_path: Path) -> None:
    """What has the list itself is the whole request, on one line or on many."""
    for text in ('{"memories": [{"content": "one"}]}', '{\n  "memories": [{"content": "two"}]\n}'):
        (tmp_path / "request.json").write_text(text)
        done = await command(*BULK, str(tmp_path / "request.json"), "--json", **of(account, url))
        assert done.json["saved_count"] == 1 and "items" in done.json


async def test_turns_are_lines_as_well(account: Account, url: str, tmp_path: Path) -> None:
    """The same rule for every operation whose one required list holds objects; the tenant of the environment too."""
    turns = [{"role": "user", "content": f"turn {number}", "id": f"t{number}"} for number in range(600)]
    file = write(tmp_path / "turns.jsonl", turns)
    arguments = ("conversations", "add", "call-1", "--extraction", "never", "--from-file", file, "--json")
    env = {**of(account, url), "AURRA_TENANT_ID": "acme"}
    done = (await command(*arguments, **env)).json
    assert (done["turns_saved"], done["batches"]) == (600, 2)
    listed = await command("conversations", "messages", "call-1", "--all", "--json", **env)
    assert [msgspec.json.decode(line)["content"] for line in listed.out.splitlines()] == [
        turn["content"] for turn in turns
    ]


async def test_the_same_lines_at_another_place_are_others(account: Account, url: str, tmp_path: Path) -> None:
    """Nothing of a file is taken for what stands elsewhere in it; with other fields, it is another file."""
    turns = [{"role": "user", "content": "again"}] * 1000
    arguments = ("conversations", "add", "call-2", "--extraction", "never", "--json", "--from-file")
    file = write(tmp_path / "turns.jsonl", turns)
    first = (await command(*arguments, file, **of(account, url))).json
    assert (first["turns_saved"], first["replayed_batches"]) == (1000, 0)
    other = (await command(*arguments, file, "--channel", "chat", **of(account, url))).json
    assert other["replayed_batches"] == 0
    assert (await command(*arguments, file, **of(account, url))).json["replayed_batches"] == 2


def test_lines_and_the_list_itself_are_not_both_given(tmp_path: Path) -> None:
    """Nor a key for all batches."""
    file = write(tmp_path / "items.jsonl", facts(1))
    assert "not both" in run(*BULK, file, "[]").err
    assert "give none" in run(*BULK, file, "--idempotency-key", "k").err
    assert "Missing argument SESSION_ID" in run("conversations", "add", "--from-file", file).err


def test_batches_are_bounded_by_count_and_size() -> None:
    """500 lines, or what one body takes; a line that is too large for any goes alone, for the service to refuse."""
    many = [Line(number, b"{}") for number in range(1, 1002)]
    assert [len(batch) for batch in lines.batches(many, 10_000)] == [500, 500, 1]
    large = [Line(1, b"x" * 60), Line(2, b"x" * 60), Line(3, b"x" * 300), Line(4, b"x")]
    assert [[line.number for line in batch] for batch in lines.batches(large, 100)] == [[1], [2], [3], [4]]
