"""A program written for the published client works when its import is changed. Its names and shapes are 0.8.1's."""

import subprocess
import sys

import aurra_sdk
import pytest

from tests.conftest import Account

NAMES = [
    "Aurra", "Memories", "QueryResult", "Citation", "AddResult", "SupersedeResult", "TimelineEntry",
    "AutoSupersedeResult", "SupersessionEvent", "Settings", "SettingsResult", "AurraError", "AurraAuthError",
    "AurraNotFoundError", "AurraRateLimitError", "AurraValidationError", "AurraLLMProviderError", "AurraServerError",
    "AurraConnectionError", "__version__",
]  # fmt: skip
PROGRAM = """
import os
from aurra_sdk import (
    AddResult, Aurra, AurraAuthError, AurraConnectionError, AurraError, AurraNotFoundError, AurraValidationError,
    QueryResult, SettingsResult, SupersedeResult, TimelineEntry,
)

client = Aurra(api_key=os.environ["KEY"], base_url=os.environ["URL"], timeout=60.0)
result = client.memories.add(
    [
        {"role": "user", "content": "I'm Alice and I play pickleball on Tuesdays."},
        {"role": "assistant", "content": "Nice!"},
    ],
    session_id="session_1",
)
assert isinstance(result, AddResult) and result.extracted_count >= result.saved_count >= 1, result
assert result.extraction["mode"] == "extractive" and isinstance(result.auto_supersede, list)
assert client.memories.get_audit(result.memory_ids[0])["provenance"]["channel"] == "session_1"

old = client.memories.add(content="The office is in Rome", importance_score=8, auto_supersede=False)
new = client.memories.add(content="The office is in Turin", topic="Office", source="slack")
assert old.auto_supersede.ran is False and old.auto_supersede.supersession is None
done = client.memories.supersede(old.memory_id, superseded_by=new.memory_id)
assert isinstance(done, SupersedeResult) and (done.status, done.superseded_by) == ("superseded", new.memory_id)

entries = client.memories.timeline(new.memory_id)
assert len(entries) == 2 and all(isinstance(entry, TimelineEntry) for entry in entries)
assert [(entry.id, entry.is_current, entry.is_superseded, entry.is_expired) for entry in entries] == [
    (old.memory_id, False, True, entries[0].is_expired), (new.memory_id, True, False, False)
]
assert entries[-1].raw["temporal"]["is_current"] is True

for memory in client.memories.list(limit=10, source="slack"):
    assert (memory["topic"], memory["temporal"]["is_current"]) == ("Office", True)
assert len(client.memories.list(include_superseded=True)) >= 3

answer = client.memories.query("Where is the office?", sources=["slack"], include_proof_tree=True)
assert isinstance(answer, QueryResult) and "Turin" in answer.answer and "[mem-1]" in answer.answer_with_citations
assert [c.memory_id for c in answer.citations if c.cited_by_llm] == [new.memory_id]
assert answer.proof_tree.retrieval.get("memories_cited") == 1 and answer.proof_tree.raw["version"] == "2.0"
assert answer.memories[0]["id"] == new.memory_id

settings = client.settings.update(min_confidence=0.9)
assert isinstance(settings, SettingsResult) and client.settings.get().min_confidence == 0.9
try:
    client.settings.update(min_confidence=0.1)
except AurraValidationError as error:
    assert error.status_code == 400 and error.response_body["error"] == "validation failed" and error.message
try:
    client.memories.timeline("00000000-0000-0000-0000-000000000000")
except AurraNotFoundError as error:
    assert isinstance(error, AurraError)
try:
    Aurra(api_key="aurra_unknown", base_url=os.environ["URL"]).settings.get()
except AurraAuthError:
    pass
try:
    Aurra(api_key="aurra_unknown", base_url="http://127.0.0.1:9").settings.get()
except AurraConnectionError:
    print("all of it")
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_was_exported_is(name: str) -> None:
    """Every name of the published `__all__`."""
    assert getattr(aurra_sdk, name) and name in aurra_sdk.__all__


async def test_a_program_runs_with_its_import_changed(served: str, account: Account) -> None:
    """Every method, positional arguments as they were, results read as they were, exceptions by their old names."""
    done = subprocess.run(
        # The published client has no `close`, so such a program leaves its connections open.
        [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", "-c", PROGRAM],
        env={"KEY": account.key, "URL": served, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "all of it\n", "")
