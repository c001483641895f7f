"""Both clients sign every attempt anew, and never send the key that signs."""

from typing import Any

import httpx2
import pytest
from aurra_sdk import AsyncAurra, AurraError

from aurra import signing
from aurra.context import Service
from aurra.keys import Terms
from aurra.signing import Presented, Signable
from aurra.store.accounts import open_directory
from tests.conftest import Account
from tests.sdk.conftest import MakeClient
from tests.sdk.scripted_server import PLAN, RETRACTED, Received, ScriptedServer, answers, problem

SECRET = "aurra_sign_canary"
KEY_ID = "canary7f"


def presented(received: Received) -> Presented:
    assert "authorization" not in received.headers
    given = signing.presented({name: received.headers[name.lower()] for name in signing.HEADERS})
    assert given is not None and given.key_id == KEY_ID
    return given


async def test_every_attempt_is_signed_anew(make_scripted: MakeClient, server: ScriptedServer) -> None:
    """A retry has a nonce of its own, and the Idempotency-Key of the first; the key itself is not sent."""
    client = make_scripted(signing_secret=SECRET, max_retries=2)
    busy = problem(503, "unavailable")
    server.script(busy, busy, answers(RETRACTED))
    await client("memories.retract", "m1", reason="typo")
    given = [presented(received) for received in server.requests]
    assert len({one.nonce for one in given}) == len({one.signature for one in given}) == 3
    assert len({received.headers["idempotency-key"] for received in server.requests}) == 1


async def test_what_is_signed_is_what_is_sent(make_scripted: MakeClient, server: ScriptedServer) -> None:
    """Path and query as they stand in the request line; a client with other options signs as well."""
    client = make_scripted(signing_secret=SECRET).with_options(max_retries=0)
    server.script(problem(404, "not_found"), answers(PLAN))
    with pytest.raises(AurraError):
        await client("subjects.get", "a/b ü", as_of="2026-01-01T00:00:00+01:00")
    await client("plan.status")
    for received in server.requests:
        request = Signable(method=received.method, target=received.target.encode(), body=b"")
        assert signing.is_signed(SECRET, request, presented(received))
    assert "%2F" in server.requests[0].target and "?as_of=" in server.requests[0].target


async def test_the_service_takes_what_the_client_signs(service: Service, app: Any, account: Account, dsn: str) -> None:
    """Reads, writes with a body, pages; without the secret the same key is refused, and says why."""
    async with open_directory(dsn) as directory:
        terms = Terms(scopes=["memories:read", "memories:write"], is_signed=True)
        key = await directory.create_key(account.row, terms, service.secret_keys.get())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as http:
        client = AsyncAurra(key.raw, signing_secret=key.signing_secret, base_url="http://aurra", http_client=http)
        for number in range(3):
            await client.memories.add(content=f"Füße {number}", subject="a/b")
        assert len([memory async for memory in client.memories.iterate(limit=1, subject="a/b")]) == 3
        assert (await client.subjects.get("a/b")).subject == "a/b"
        assert str(key.signing_secret) not in repr(client) and key.raw not in repr(client)
        bare = AsyncAurra(key.raw, base_url="http://aurra", http_client=http)
        with pytest.raises(AurraError) as refused:
            await bare.memories.list()
        assert refused.value.code == "signature_required"


def test_the_secret_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """AURRA_SIGNING_SECRET; a key without an id cannot sign, which is said before anything is sent."""
    monkeypatch.setenv("AURRA_SIGNING_SECRET", SECRET)
    with pytest.raises(AurraError, match="has no id"):
        AsyncAurra("aurra_x")
