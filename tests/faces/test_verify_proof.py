"""`aurra verify-proof`: a saved answer, checked without service, key or database."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from aurra.faces.cli import main
from tests.conftest import Account
from tests.faces.test_models import answering, llm
from tests.faces.wire import QUERY
from tests.providers.scripted_provider import ScriptedProvider


def verify(answer: Any, *options: str) -> tuple[int, str]:
    """The exit code, and what is printed, for an answer on standard input."""
    raw = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    done = CliRunner().invoke(main, ["verify-proof", "-", *options], input=raw)
    return done.exit_code, done.output


async def saved(account: Account, question: str = "Where does Kim live?", **fields: Any) -> dict[str, Any]:
    """An answer with its proof tree, over memories of which not all are cited."""
    await account.add("Kim lives in Malmö, “by the sea”\n", valid_to="2099-01-01")
    await account.add("The moon is far away")
    return await account.post(QUERY, question=question, include_proof_tree=True, **fields)


async def test_an_answer_as_saved_holds(account: Account, tmp_path: Path) -> None:
    """From a file or standard input: exit code 0 and one sentence; `--json` says the same."""
    answer = await saved(account)
    file = tmp_path / "answer.json"
    file.write_bytes(msgspec.json.encode(answer))
    done = CliRunner().invoke(main, ["verify-proof", str(file)])
    hash_ = answer["proof_tree"]["answer_hash"]
    assert (done.exit_code, done.output) == (0, f"ok: the answer rests on 1 of 2 memories, hash {hash_}\n")
    code, printed = verify(msgspec.json.format(msgspec.json.encode(answer)), "--json")
    assert code == 0
    assert msgspec.json.decode(printed) == {"ok": True, "why": None, "answer_hash": hash_, "evaluated": 2, "cited": 1}


async def test_refusals_past_answers_and_models_answers_hold(account: Account) -> None:
    """Whatever kind of answer: what the service says can be checked."""
    answers = [
        await account.post(QUERY, question="Who?", include_proof_tree=True),
        await saved(account, "What is the boiling point of tungsten?"),
        await saved(account, as_of="2098-01-01"),
    ]
    sentences: list[dict[str, Any]] = [
        {"text": "Kim lives in Malmö.", "citations": [1]},
        {"text": "It is 900 years old.", "citations": []},
    ]
    async with ScriptedProvider(answering(answer={"sentences": sentences})) as provider:
        answers.append(await saved(account, llm=llm(provider)))
    for answer in answers:
        assert verify(answer)[0] == 0, verify(answer)


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(answer: dict[str, Any]) -> None:
        *steps, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = answer
        for step in steps:
            place = place[step]
        assert place[last] != value
        place[last] = value

    return change


def _swap(answer: dict[str, Any]) -> None:
    answer["proof_tree"]["evidence_chain"].reverse()


def _drop(answer: dict[str, Any]) -> None:
    answer["proof_tree"]["evidence_chain"].pop()


HASHED: dict[str, Callable[[dict[str, Any]], None]] = {
    "answer": _set("answer", "Kim lives in Oslo."),
    "memory_id": _set("proof_tree.evidence_chain.1.memory_id", "00000000-0000-4000-8000-000000000000"),
    "decision": _set("proof_tree.evidence_chain.1.decision", "The moon is near"),
    "valid_from": _set("proof_tree.evidence_chain.1.bi_temporal.valid_from", "2000-01-01T00:00:00.000000+00:00"),
    "valid_to": _set("proof_tree.evidence_chain.0.bi_temporal.valid_to", None),
    "cited": _set("proof_tree.evidence_chain.1.cited", True),
    "order": _swap,
    "fewer": _drop,
    "hash": _set("proof_tree.answer_hash", "0" * 64),
}


@pytest.mark.parametrize("name", HASHED)
async def test_what_the_hash_covers_cannot_be_changed(account: Account, name: str) -> None:
    """Answer, ids, decisions, windows, cited flags, their order and number: each change alone is told by the hash."""
    answer = await saved(account)
    HASHED[name](answer)
    code, printed = verify(answer)
    assert code == 1
    assert printed.startswith("FAIL: the hash of answer and evidence is ")
    assert printed.count("\n") == 1


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a marker of nothing": (
        _set("answer_with_citations", "Kim lives in Malmö, “by the sea” [mem-9]"),
        "[mem-9] points to no citation",
    ),
    "a marker of what is not cited": (
        _set("answer_with_citations", "Kim lives in Malmö, “by the sea” [mem-2]"),
        "[mem-1] is marked and not cited, or cited and not marked",
    ),
    "another text": (_set("answer_with_citations", "Kim lives in Rome. [mem-1]"), "is not the answer with markers"),
    "another quote": (_set("citations.0.quote", "Kim lives in Rome"), "citation 1 has a quote that does not stand"),
    "another span": (_set("citations.0.span", [1, 6]), "citation 1 has a quote that does not stand"),
    "a span outside": (_set("citations.0.span", [-5, 900]), "citation 1 has a quote that does not stand"),
    "no quote": (_set("citations.0.quote", None), "citation 1 is cited without a quote"),
    "a quote uncited": (_set("citations.1.quote", "The"), "citation 2 is quoted and not cited"),
    "another decision": (_set("citations.1.decision", "Rome"), "citation 2 is not the evidence at its place"),
    "another memory": (_set("citations.1.memory_id", "x"), "citation 2 is not the evidence at its place"),
    "another flag": (_set("citations.1.cited_by_llm", True), "[mem-2] is marked and not cited, or cited"),
    "another number": (_set("citations.1.index", 7), "the citations are not numbered"),
    "another count": (_set("proof_tree.retrieval.memories_cited", 2), "the counts of the retrieval"),
    "another question": (_set("question", "Who?"), "of another question"),
    "another version": (_set("proof_tree.version", "3.0"), "this one is of another"),
    "no tree": (_set("proof_tree", None), "has no proof tree"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_what_else_is_wrong_is_told(account: Account, name: str) -> None:
    """Markers, quotes, spans, flags and counts; exit code 1 and what is wrong, also as JSON."""
    answer = await saved(account)
    change, expected = FAULTS[name]
    changed = copy.deepcopy(answer)
    change(changed)
    code, printed = verify(changed)
    assert code == 1
    assert expected in printed
    told = msgspec.json.decode(verify(changed, "--json")[1])
    assert (told["ok"], expected in told["why"]) == (False, True)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"question": 1}'])
def test_what_is_no_answer_is_told(raw: bytes) -> None:
    """Anything else than a saved answer: exit code 1 and one sentence, no traceback."""
    code, printed = verify(raw)
    assert (code, printed) == (1, "FAIL: this is not the JSON of an answer of POST /agent/query.\n")
