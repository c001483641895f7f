"""Making, copying and closing clients."""

from typing import Any

import httpx2
import pytest
from aurra_sdk import AsyncAurra, Aurra, AurraError, RawResponse, _operations, types
from aurra_sdk._operation import prepare

from tests.sdk.conftest import KEY


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AURRA_API_KEY", "AURRA_BASE_URL", "AURRA_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_says_what_the_constructor_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """AURRA_API_KEY, AURRA_BASE_URL, AURRA_TENANT_ID; an empty one counts as not given; a given None is a None."""
    monkeypatch.setenv("AURRA_API_KEY", f" {KEY}\n")
    with Aurra() as client:
        assert (client.base_url, client.tenant_id) == ("http://127.0.0.1:8000", None)
    monkeypatch.setenv("AURRA_BASE_URL", "https://memory.example/aurra/")
    monkeypatch.setenv("AURRA_TENANT_ID", "acme")
    with Aurra() as client, Aurra("aurra_other", base_url="http://b", tenant_id=None) as other:
        assert (client.base_url, client.tenant_id) == ("https://memory.example/aurra", "acme")
        assert (other.base_url, other.tenant_id) == ("http://b", None)
        assert other.with_options(timeout=1).tenant_id is None
    monkeypatch.setenv("AURRA_TENANT_ID", "")
    with Aurra() as client:
        assert client.tenant_id is None


@pytest.mark.parametrize("kind", [Aurra, AsyncAurra])
def test_what_cannot_be_used_is_refused_at_once(kind: type[Aurra | AsyncAurra]) -> None:
    """No key, a key with a line break inside, a URL without a scheme: an AurraError that does not show the key."""
    with pytest.raises(AurraError, match="AURRA_API_KEY"):
        kind()
    for key, url in [("aurra_canary\nx", "http://a"), ("aurra_canary", "127.0.0.1:8000"), ("aurra_canary", "http://")]:
        with pytest.raises(AurraError) as caught:
            kind(key, base_url=url)
        assert "canary" not in str(caught.value)


def test_nothing_shows_the_key() -> None:
    """repr and str of the client, of its options and of an input with a key."""
    with Aurra(KEY) as client:
        shown = f"{client!r} {client} {vars(client)!r} {client._transport.options!r}"  # pyright: ignore[reportPrivateUsage]
    assert repr(client) == "Aurra(base_url='http://127.0.0.1:8000', tenant_id=None)"
    assert KEY not in shown
    choice = types.LlmChoice(provider="openai", api_key="sk-canary")
    assert repr(types.MemoryWrite(content="x", llm=choice)) == (
        "MemoryWrite(content='x', llm=LlmChoice(provider='openai', api_key=***))"
    )


SECRETS: dict[str, set[str]] = {"LlmChoice": {"api_key", "key"}, "ApiKeyMade": {"key", "signing_secret"}}


def test_no_answer_and_no_input_shows_a_secret() -> None:
    """What the service's types say is secret, and no more; alone, inside another, and inside a raw response."""
    shown = {
        name: kind._secrets  # pyright: ignore[reportPrivateUsage]
        for name in types.__all__
        if (kind := getattr(types, name))._secrets  # pyright: ignore[reportPrivateUsage]
    }
    assert shown == SECRETS
    key = types.ApiKey(
        id="a", name="n", last_four="nary", scopes=[], tenant_id=None, trust="normal", networks=[], up_to=None,
        is_signed=True, state="active", expires_at=None, revoked_at=None, previous_until=None, created_at="",
        created_by="", last_used_at=None,
    )  # fmt: skip
    made = types.ApiKeyMade(warnings=[], key="canary-1", signing_secret="canary-2", api_key=key)
    raw = RawResponse(parsed=made, status_code=200, headers=httpx2.Headers())
    for text in (repr(made), str(made), repr([made]), repr(raw)):
        assert "canary" not in text and "key=***, signing_secret=***" in text and "api_key=ApiKey(" in text
    assert (made.key, made.to_dict()["signing_secret"]) == ("canary-1", "canary-2")


def test_a_request_under_way_shows_neither_key_nor_content() -> None:
    """A debugger that shows variables shows this."""
    with Aurra(KEY) as client:
        options = client._transport.options  # pyright: ignore[reportPrivateUsage]
    shown = repr(prepare(_operations.MEMORIES_ADD, {"content": "canary of a content"}, options))
    assert "canary" not in shown


async def test_only_connections_of_its_own_are_closed(app: Any) -> None:
    """An injected client stays open, and a copy leaves its original's connections open."""
    injected = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))
    async with AsyncAurra(KEY, base_url="http://aurra", http_client=injected):
        pass
    assert not injected.is_closed
    await injected.aclose()
    with Aurra(KEY) as client:
        copy = client.with_options(timeout=1)
        http = client._transport.http  # pyright: ignore[reportPrivateUsage]
        copy.close()
        assert not http.is_closed
    assert http.is_closed
