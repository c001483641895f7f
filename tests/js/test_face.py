"""The JavaScript SDK is a face: it says what REST says."""

import pytest

from aurra.ops import OPERATIONS
from tests.conftest import Account
from tests.parity.face import Face, Json, Told
from tests.parity.face_js import js_face

pytestmark = pytest.mark.js


async def test_it_says_what_rest_says(url: str, account: Account) -> None:
    """Answers with all of their fields, problems with their status; a key of one's own is replayed."""
    async with js_face(url) as face:

        async def ask(name: str, fields: Json, key: str | None = account.key, once: str | None = None) -> Told:
            asking: Face = face
            return await asking.ask(OPERATIONS[name], fields, api_key=key, idempotency_key=once)

        fact = {"content": "Kim lives in Oslo", "subject": "kim", "attribute": "city"}
        first, second = [await ask("memories.add", fact, once="one") for _ in range(2)]
        assert (first.status, first) == (200, second)
        listed = await ask("memories.list", {"subject": "kim"})
        plain = await account.get("/agent/memories", subject="kim")
        assert [memory["id"] for memory in listed.body["memories"]] == [memory["id"] for memory in plain["memories"]]
        assert set(listed.body) == set(plain)
        changed = await ask("transactions.diff", {"from": 0})
        assert changed.body["changes"][0]["after"]["decision"] == "Kim lives in Oslo"
        missing = await ask("memories.query", {})
        assert (missing.status, missing.body["code"], missing.body["param"]) == (422, "validation_error", "question")
        unknown = await ask("settings.get", {"colour": "red"})
        assert unknown.status == (await account.client.get("/agent/settings", params={"colour": "red"})).status_code
        nobody = await ask("plan.status", {}, key=None)
        assert (nobody.status, nobody.body["code"]) == (401, "not_authenticated")
