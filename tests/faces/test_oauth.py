"""Hosts that connect by OAuth 2.1: the whole way by plain HTTP, and every refusal on it."""

import asyncio
import datetime as dt
import random
from typing import Any

import httpx2
import msgspec
import pytest

from aurra import keys, oauth
from aurra.app import build_app
from aurra.context import Service
from aurra.keys import SCOPES
from aurra.limiter import Limiter
from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.connecting import (
    CALLBACK,
    ORIGIN,
    browser_of,
    consent,
    fault,
    hidden,
    parameters,
    refused,
    register,
    sent_to,
)
from tests.faces.wire import ok, problem
from tests.plain import connected

NOON = dt.datetime(2031, 1, 1, 12, tzinfo=dt.UTC)


async def rows(dsn: str, account: Account, table: str = "oauth_grant") -> int:
    async with connected(dsn) as connection:
        return await connection.fetchval(f"SELECT count(*) FROM {table} WHERE company_id = $1", account.row.id)


def ended(answer: httpx2.Response) -> None:
    """The access token is refused, and its host told to get another."""
    problem(answer, 401, "invalid_token")


# What is told of it


async def test_the_service_says_where_its_tokens_come_from(bare: httpx2.AsyncClient) -> None:
    """RFC 9728 and RFC 8414, at the addresses that hosts try, for browsers too."""
    for path, resource in (("", ORIGIN), ("/mcp", f"{ORIGIN}/mcp")):
        told = ok(await bare.get(f"/.well-known/oauth-protected-resource{path}"))
        assert (told["resource"], told["authorization_servers"]) == (resource, [ORIGIN])
        assert set(told["scopes_supported"]) == set(SCOPES) - {"keys:manage"}
        server = ok(await bare.get(f"/.well-known/oauth-authorization-server{path}"))
        assert server["issuer"] == ORIGIN
        assert server["code_challenge_methods_supported"] == ["S256"]
        for name in ("authorization", "token", "registration", "revocation"):
            assert server[f"{name}_endpoint"].startswith(f"{ORIGIN}/oauth/")
    # It is no OpenID provider, and whoever tries is not told that it is.
    assert (await bare.get("/.well-known/openid-configuration")).status_code == 404


async def test_browsers_may_ask(bare: httpx2.AsyncClient) -> None:
    """Preflights of every address that a program asks, and what an answer lets a page read."""
    asking = {"Origin": "http://localhost:6274", "Access-Control-Request-Method": "POST"}
    for path in ("/oauth/register", "/oauth/token", "/oauth/revoke", "/.well-known/oauth-protected-resource/mcp"):
        preflight = await bare.options(path, headers={**asking, "Access-Control-Request-Headers": "content-type"})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    answer = await bare.post("/oauth/token", data={"grant_type": "x"}, headers={"Origin": asking["Origin"]})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


# Registration


async def test_a_registration_is_answered_with_what_is_served(bare: httpx2.AsyncClient) -> None:
    """Whatever method was asked for, there is no secret; the same registration has the same id."""
    asked = {
        "client_name": "A\u202e host\n\x07",
        "redirect_uris": ["http://127.0.0.1:1/cb", "cursor://app.cursor/cb", "com.example.app:/cb"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "whatever",
        "logo_uri": "https://host.example/logo",
    }
    first = await bare.post("/oauth/register", json=asked)
    second = await bare.post("/oauth/register", json=asked)
    assert first.status_code == 201
    assert first.json() == second.json()
    told = first.json()
    assert told.pop("client_id").startswith("aurra_client_")
    assert told == {
        "client_name": "A host",
        "redirect_uris": asked["redirect_uris"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    }


@pytest.mark.parametrize(
    ("registration", "error"),
    [
        ({"redirect_uris": ["http://host.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:/alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://host.example/cb#part"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [CALLBACK] * 11}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"https://host.example/{'x' * 400}{n}" for n in range(6)]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://host.example/cb"}, "invalid_client_metadata"),
        ({"client_name": "x"}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "response_types": ["token"]}, "invalid_client_metadata"),
    ],
)
async def test_a_registration_that_cannot_be_is_refused(
    bare: httpx2.AsyncClient, registration: dict[str, Any], error: str
) -> None:
    """With the error that RFC 7591 has for it."""
    refused(await bare.post("/oauth/register", json=registration), error)


async def test_a_body_that_is_none_or_too_large_is_refused(bare: httpx2.AsyncClient) -> None:
    """As an error that OAuth's clients read."""
    refused(await bare.post("/oauth/register", content=b"{"), "invalid_client_metadata")
    refused(await bare.post("/oauth/register", content=b"x" * 70_000), "invalid_request", 413)
    refused(await bare.post("/oauth/token", json={"grant_type": "refresh_token"}), "invalid_request")
    refused(await bare.post("/oauth/token", data={"a": "x" * 70_000}), "invalid_request", 413)
    twice = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(await bare.post("/oauth/token", content=b"code=a&code=b", headers=twice), "invalid_request")
    refused(await bare.post("/oauth/token", content=b"code=%ff", headers=twice), "invalid_request")


# The whole way


async def test_a_host_connects_by_the_url_alone(account: Account, bare: httpx2.AsyncClient) -> None:
    """From the registration to a memory that is read and one that is written; the key's id stands in the ledger."""
    await account.add("Kim lives in Oslo")
    host = await register(bare)
    tokens = await host.connect(account.key)
    assert tokens["token_type"] == "Bearer" and tokens["expires_in"] == 3600
    assert set(tokens["scope"].split()) == set(SCOPES) - {"keys:manage"}
    assert ok(await host.calls(tokens))["memories"][0]["decision"] == "Kim lives in Oslo"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    written = ok(await bare.post("/agent/memories", json={"content": "Kim likes tea"}, headers=headers))
    audit = await account.get(f"/memories/{written['memory_id']}/audit")
    assert audit["history"][0]["by"] == f"key {account.key[11:19]}"
    newer = ok(await host.refresh(tokens))
    assert newer["access_token"] != tokens["access_token"] and newer["refresh_token"] != tokens["refresh_token"]
    # What was begun with the one before goes on until that ends by itself.
    ok(await host.calls(tokens))
    ok(await host.calls(newer))
    problem(await host.calls(newer, "/api-keys"), 403, "insufficient_scope")


async def test_the_page_shows_who_asks_and_where_it_is_sent(bare: httpx2.AsyncClient) -> None:
    """Escaped, in no frame, loading nothing, stored nowhere."""
    host = await register(bare, name='<script>"Claude" & co</script>')
    page = await bare.get(f"/oauth/authorize?{host.asks()}")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "&lt;script&gt;" in page.text and "<script" not in page.text
    assert "host.example" in page.text and 'type="password"' in page.text
    assert not any(word in page.text for word in ("src=", "@import", "url("))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
    assert page.headers["referrer-policy"] == "no-referrer" and page.headers["cache-control"] == "no-store"
    assert "HttpOnly; SameSite=Lax" in page.headers["set-cookie"]


async def test_a_host_may_be_let_in_to_read_only(account: Account, bare: httpx2.AsyncClient) -> None:
    """By whoever consents, or because it asks for no more."""
    await account.add("a fact")
    host = await register(bare)
    for tokens in (
        await host.connect(account.key, read_only="yes"),
        await host.connect(account.key, scope="memories:read query offline_access"),
    ):
        assert {"memories:read", "query"} <= set(tokens["scope"].split()) <= {*oauth.asked_scopes("read_only")}
        ok(await host.calls(tokens))
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        problem(await bare.post("/agent/memories", json={"content": "x"}, headers=headers), 403, "insufficient_scope")


async def test_what_binds_the_key_binds_its_hosts(make_account: MakeAccount, bare: httpx2.AsyncClient) -> None:
    """Its tenant, its ceiling, its scopes at each moment."""
    account = await make_account()
    await account.add("of the default tenant")
    await account.add("of the tenant", tenant_id="t")
    pinned = await make_account(of=account.row, tenant_id="t")
    old = await make_account(of=account.row, up_to=1)
    host = await register(bare)
    told = ok(await host.calls(await host.connect(pinned.key)))
    assert [memory["decision"] for memory in told["memories"]] == ["of the tenant"]
    tokens = await host.connect(old.key)
    assert [memory["decision"] for memory in ok(await host.calls(tokens))["memories"]] == ["of the default tenant"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    problem(await bare.post("/agent/memories", json={"content": "x"}, headers=headers), 403, "key_has_ceiling")
    narrow = await make_account(of=account.row)
    tokens = await host.connect(narrow.key)
    ok(await host.calls(tokens))
    ok(await account.client.patch(f"/api-keys/{narrow.key[11:19]}", json={"scopes": ["query"]}))
    problem(await host.calls(tokens), 403, "insufficient_scope")
    assert ok(await host.refresh(tokens))["scope"] == "query"


async def test_a_host_is_refused_from_where_its_key_is(make_account: MakeAccount, bare: httpx2.AsyncClient) -> None:
    """Networks of the key hold for consent, for the exchange and for every request."""
    account = await make_account()
    elsewhere = await make_account(of=account.row, networks=["192.0.2.0/24"])
    host = await register(bare)
    page = await consent(browser_of(bare), host.asks(), elsewhere.key)
    assert page.status_code == 403 and "127.0.0.1" in fault(page)
    key_id = account.key[11:19]
    code, tokens = await host.let_in(account.key), await host.connect(account.key)
    changer = await make_account(of=account.row)
    ok(await changer.client.patch(f"/api-keys/{key_id}", json={"networks": ["192.0.2.0/24"]}))
    refused(await host.redeem(code), "invalid_grant")
    refused(await host.refresh(tokens), "invalid_grant")
    problem(await host.calls(tokens), 403, "address_not_allowed")


# Consent


async def test_a_wrong_key_is_told_on_the_page(make_account: MakeAccount, bare: httpx2.AsyncClient) -> None:
    """With the sentence that a request with it would get; nobody is sent on, and what was filled in stays."""
    account = await make_account()
    host = await register(bare)
    tokens = await host.connect(account.key)
    signed = await account.post("/api-keys", scopes=["query"], is_signed=True)
    manages = await make_account(of=account.row, scopes="keys:manage")
    for key, status, said in (
        (account.key[:-1] + ("a" if account.key[-1] != "a" else "b"), 401, "typing error"),
        ("", 401, "not an Aurra key"),
        (tokens["access_token"], 401, "not an Aurra key"),
        (signed["key"], 409, "signs its requests"),
        (manages.key, 403, "none of the scopes"),
    ):
        page = await consent(browser_of(bare), host.asks(), key, read_only="yes")
        assert page.status_code == status, page.text
        assert said in fault(page) and "refresh" not in page.headers and "checked" in page.text
        assert not key or key not in page.text
        assert status != 401 or page.headers["www-authenticate"] == "Bearer"


async def test_a_form_that_was_not_shown_grants_nothing(account: Account, bare: httpx2.AsyncClient, dsn: str) -> None:
    """Sent by another page, for another browser, or with the request exchanged: it is shown anew."""
    host, other = await register(bare), await register(bare, "https://other.example/cb")
    browser, stranger = browser_of(bare), browser_of(bare)
    form = {
        **hidden(await browser.get(f"/oauth/authorize?{host.asks()}")),
        "api_key": account.key,
        "decision": "connect",
    }
    for http, sent, headers in (
        (stranger, form, {}),
        (browser, {**form, "proof": ""}, {}),
        (browser, {**form, "request": other.asks()}, {}),
        (browser, form, {"Sec-Fetch-Site": "cross-site"}),
    ):
        page = await http.post("/oauth/authorize", data=sent, headers=headers)
        assert page.status_code == 403 and "enter the key again" in fault(page)
    assert await rows(dsn, account) == 0
    # The page that is shown anew is good; so is a second one in another tab.
    await browser.get(f"/oauth/authorize?{other.asks()}")
    page = await browser.post("/oauth/authorize", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert parameters(sent_to(page))["code"]


async def test_whoever_cancels_is_sent_back_without_a_code(account: Account, bare: httpx2.AsyncClient) -> None:
    """access_denied, as RFC 6749 has it."""
    host = await register(bare)
    page = await consent(browser_of(bare), host.asks(), "", decision="cancel")
    assert sent_to(page).startswith(f"{CALLBACK}&")
    assert parameters(sent_to(page)) == {"here": "1", "error": "access_denied", "state": host.state, "iss": ORIGIN}


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "aurra_client_AAAA"},
        {"client_id": "https://host.example/client.json"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://host.example/callback?here=1&more=2"},
        {"redirect_uri": "https://host.example:444/callback?here=1"},
        {"state": "x" * 9000},
    ],
)
async def test_nobody_is_sent_where_the_host_did_not_register(bare: httpx2.AsyncClient, changed: Any) -> None:
    """A page, without a link."""
    host = await register(bare)
    page = await bare.get(f"/oauth/authorize?{host.asks(**changed)}")
    assert page.status_code == 400 and page.headers["content-type"].startswith("text/html")
    assert "<a " not in page.text and "refresh" not in page.headers and "location" not in page.headers


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"resource": f"{ORIGIN}/agent/memories"}, "invalid_target"),
        ({"request": "x"}, "request_not_supported"),
    ],
)
async def test_a_faulty_request_is_told_to_the_host_by_a_link(
    bare: httpx2.AsyncClient, changed: dict[str, str | None], error: str
) -> None:
    """The page says what is wrong; its link says so to the host. Nobody is sent on by themselves."""
    host = await register(bare)
    page = await bare.get(f"/oauth/authorize?{host.asks(**changed)}")
    assert page.status_code == 400 and "refresh" not in page.headers and "location" not in page.headers
    link = page.text.partition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert link.startswith(f"{CALLBACK}&")
    told = parameters(link)
    assert (told["error"], told["state"], told["iss"]) == (error, host.state, ORIGIN) and told["error_description"]


async def test_programs_on_this_machine_may_change_their_port(account: Account, bare: httpx2.AsyncClient) -> None:
    """RFC 8252: on the loopback the port is not compared; host and path are."""
    host = await register(bare, "http://127.0.0.1/callback")
    host.redirect_uri = "http://127.0.0.1:49152/callback"
    assert (await host.connect(account.key))["access_token"]
    for uri in ("http://localhost:49152/callback", "http://127.0.0.1:49152/other", "http://127.0.0.1:0/callback"):
        assert (await bare.get(f"/oauth/authorize?{host.asks(redirect_uri=uri)}")).status_code == 400
    app = await register(bare, "cursor://anysphere.cursor-mcp/oauth/callback")
    page = await consent(browser_of(bare), app.asks(redirect_uri=None), account.key)
    assert sent_to(page).startswith("cursor://anysphere.cursor-mcp/oauth/callback?code=")


# Codes


async def test_a_code_is_good_for_what_it_was_made_for(account: Account, bare: httpx2.AsyncClient) -> None:
    """Not with another verifier, address, client or resource; then still with its own."""
    host, other = await register(bare), await register(bare, "https://other.example/cb")
    code = await host.let_in(account.key)
    refused(await host.redeem(code, code_verifier="x" * 43), "invalid_grant")
    refused(await host.redeem(code, code_verifier=None), "invalid_grant")
    refused(await host.redeem(code, code_verifier=host.challenge), "invalid_grant")
    refused(await host.redeem(code, redirect_uri="https://other.example/cb"), "invalid_grant")
    refused(await host.redeem(code, client_id=other.client_id), "invalid_grant")
    refused(await host.redeem(code, client_id=None), "invalid_request")
    refused(await host.redeem(code, client_id="aurra_client_AAAA"), "invalid_client", 401)
    refused(await host.redeem(code, resource="https://elsewhere.example/mcp"), "invalid_target")
    refused(await host.redeem(code[:-1] + "~"), "invalid_grant")
    refused(await host.redeem(oauth.make_token("code", account.key[11:19])), "invalid_grant")
    refused(await host.post("/oauth/token", grant_type="password", code=code), "unsupported_grant_type")
    ok(await host.redeem(code, redirect_uri=None, resource=f"{ORIGIN}/"))


async def test_a_code_that_comes_twice_ends_the_grant(account: Account, bare: httpx2.AsyncClient, dsn: str) -> None:
    """Whoever came first may be the thief: the tokens of both are refused."""
    host = await register(bare)
    code = await host.let_in(account.key)
    tokens = ok(await host.redeem(code))
    ok(await host.calls(tokens))
    # Who lacks the verifier ends nothing.
    refused(await host.redeem(code, code_verifier="x" * 43), "invalid_grant")
    ok(await host.calls(tokens))
    refused(await host.redeem(code), "invalid_grant")
    ended(await host.calls(tokens))
    refused(await host.refresh(tokens), "invalid_grant")
    assert await rows(dsn, account) == await rows(dsn, account, "oauth_token") == 0


async def test_of_those_who_bring_one_code_at_once_none_keeps_anything(
    account: Account, bare: httpx2.AsyncClient
) -> None:
    """Two at the same moment: one is answered at most, and the grant has ended."""
    host = await register(bare)
    code = await host.let_in(account.key)
    answers = await asyncio.gather(*(host.redeem(code) for _ in range(4)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) <= 1
    for answer in good:
        ended(await host.calls(answer.json()))


async def test_a_code_lasts_a_minute(account: Account, bare: httpx2.AsyncClient, hand_clock: HandClock) -> None:
    """To the moment."""
    hand_clock.at = NOON
    host = await register(bare)
    for seconds, is_good in ((59, True), (60, False)):
        hand_clock.at = NOON
        code = await host.let_in(account.key)
        hand_clock.at = NOON + dt.timedelta(seconds=seconds)
        answer = await host.redeem(code)
        assert (answer.status_code == 200) == is_good


# Tokens


async def test_an_access_token_lasts_an_hour_and_no_longer_than_its_key(
    make_account: MakeAccount, bare: httpx2.AsyncClient, hand_clock: HandClock
) -> None:
    """To the moment, though it was looked up a moment before."""
    hand_clock.at = NOON
    lasting = await make_account()
    short = await make_account(of=lasting.row, expires_at=NOON + dt.timedelta(minutes=10))
    host = await register(bare)
    for account, seconds in ((lasting, 3600), (short, 600)):
        hand_clock.at = NOON
        tokens = await host.connect(account.key)
        assert tokens["expires_in"] == seconds
        hand_clock.at = NOON + dt.timedelta(seconds=seconds - 1)
        ok(await host.calls(tokens))
        hand_clock.at = NOON + dt.timedelta(seconds=seconds)
        ended(await host.calls(tokens))
        assert (await host.refresh(tokens)).status_code == (200 if account is lasting else 400)


async def test_a_refresh_token_lasts_thirty_days_and_is_exchanged_at_each_use(
    account: Account, bare: httpx2.AsyncClient, hand_clock: HandClock
) -> None:
    """Each has thirty days of its own."""
    hand_clock.at = NOON
    host = await register(bare)
    tokens = await host.connect(account.key)
    for _ in range(3):
        hand_clock.at += dt.timedelta(days=29)
        tokens = ok(await host.refresh(tokens))
    hand_clock.at += dt.timedelta(days=30)
    refused(await host.refresh(tokens), "invalid_grant")


async def test_a_refresh_whose_answer_was_lost_is_answered_again_for_a_moment(
    account: Account, bare: httpx2.AsyncClient, hand_clock: HandClock
) -> None:
    """Thirty seconds; all that come of it are good, until one of them is exchanged."""
    hand_clock.at = NOON
    host = await register(bare)
    tokens = await host.connect(account.key)
    lost = ok(await host.refresh(tokens))
    hand_clock.at += oauth.RETRY
    again = ok(await host.refresh(tokens))
    ok(await host.calls(lost))
    ok(await host.calls(again))
    newest = ok(await host.refresh(again))
    hand_clock.at += oauth.RETRY + dt.timedelta(seconds=1)
    # Of the two, another is in use: one of their holders is not the host.
    refused(await host.refresh(lost), "invalid_grant")
    ended(await host.calls(newest))


async def test_a_replayed_refresh_token_ends_the_grant(
    account: Account, bare: httpx2.AsyncClient, hand_clock: HandClock, dsn: str
) -> None:
    """After its moment, also after many others, whoever brings it."""
    hand_clock.at = NOON
    host = await register(bare)
    first = tokens = await host.connect(account.key)
    apart = await host.connect(account.key)
    for _ in range(3):
        tokens = ok(await host.refresh(tokens))
        hand_clock.at += dt.timedelta(hours=1)
    other = await register(bare, "https://other.example/cb")
    refused(await other.refresh(first), "invalid_grant")
    tokens = ok(await host.refresh(tokens))
    hand_clock.at += dt.timedelta(minutes=1)
    refused(await host.refresh(first), "invalid_grant")
    ended(await host.calls(tokens))
    refused(await host.refresh(tokens), "invalid_grant")
    # What was granted beside it stays.
    ok(await host.refresh(apart))
    assert await rows(dsn, account) == 1


async def test_a_host_can_end_its_grant(account: Account, bare: httpx2.AsyncClient, dsn: str) -> None:
    """RFC 7009, by either token; not by another client; a token that is not known is no error."""
    host, other = await register(bare), await register(bare, "https://other.example/cb")
    for name in ("access_token", "refresh_token"):
        tokens = await host.connect(account.key)
        ok(await host.calls(tokens))
        refused(await other.post("/oauth/revoke", token=tokens[name]), "invalid_grant")
        ok(await host.calls(tokens))
        for _ in range(2):
            assert (await host.post("/oauth/revoke", token=tokens[name])).status_code == 200
        ended(await host.calls(tokens))
        refused(await host.refresh(tokens), "invalid_grant")
    assert (await host.post("/oauth/revoke", token="nonsense")).status_code == 200
    refused(await host.post("/oauth/revoke"), "invalid_request")
    assert await rows(dsn, account) == 0


async def test_tokens_die_with_their_key(make_account: MakeAccount, bare: httpx2.AsyncClient) -> None:
    """Revoked: all of them, at once in this process, whatever was looked up before."""
    account = await make_account()
    manager = await make_account(of=account.row)
    host = await register(bare)
    code, tokens = await host.let_in(account.key), await host.connect(account.key)
    ok(await host.calls(tokens))
    ok(await manager.client.delete(f"/api-keys/{account.key[11:19]}"))
    ended(await host.calls(tokens))
    refused(await host.refresh(tokens), "invalid_grant")
    refused(await host.redeem(code), "invalid_grant")
    ok(await host.calls(await host.connect(manager.key)))


async def test_tokens_die_with_the_secret_that_was_typed(
    make_account: MakeAccount, bare: httpx2.AsyncClient, hand_clock: HandClock
) -> None:
    """Rotated with an overlap, they end with it; without one, at once: a thief may have typed the secret too."""
    hand_clock.at = NOON
    account = await make_account()
    manager = await make_account(of=account.row)
    key_id = account.key[11:19]
    host = await register(bare)
    tokens = await host.connect(account.key)
    rotated = await manager.post(f"/api-keys/{key_id}/rotate", overlap_hours=24)
    ok(await host.calls(tokens))
    newer = await host.connect(rotated["key"])
    hand_clock.at = NOON + dt.timedelta(hours=23, minutes=30)
    tokens = ok(await host.refresh(tokens))
    assert tokens["expires_in"] == 1800
    hand_clock.at = NOON + dt.timedelta(hours=24)
    ended(await host.calls(tokens))
    refused(await host.refresh(tokens), "invalid_grant")
    newer = ok(await host.refresh(newer))
    ok(await host.calls(newer))
    await manager.post(f"/api-keys/{key_id}/rotate", overlap_hours=0)
    ended(await host.calls(newer))
    refused(await host.refresh(newer), "invalid_grant")
    # Of two overlaps at once there is none: the older secret has ended with the second.
    rotated = await manager.post(f"/api-keys/{key_id}/rotate", overlap_hours=24)
    tokens = await host.connect(rotated["key"])
    for is_accepted in (True, False):
        await manager.post(f"/api-keys/{key_id}/rotate", overlap_hours=24)
        assert ((await host.calls(tokens)).status_code == 200) == is_accepted


@pytest.mark.parametrize("kind", ["code", "refresh"])
async def test_only_access_tokens_open_anything(account: Account, bare: httpx2.AsyncClient, kind: str) -> None:
    """What is meant for the exchange is no key; and what is no token of ours is told so."""
    host = await register(bare)
    raw = await host.let_in(account.key) if kind == "code" else (await host.connect(account.key))["refresh_token"]
    problem(await host.calls({"access_token": raw}), 401, "invalid_key")
    ended(await host.calls({"access_token": oauth.make_token("access", account.key[11:19])}))
    ended(await host.calls({"access_token": "aurra_oat_nonsense"}))


async def test_requests_of_hosts_count_on_their_key(make_account: MakeAccount, bare: httpx2.AsyncClient) -> None:
    """Exchanges and requests alike: a key on a small plan is told where it stands, and refused."""
    account = await make_account(plan="free")
    host = await register(bare)
    tokens = await host.connect(account.key)
    answers = [await host.calls(tokens) for _ in range(12)]
    assert answers[0].headers["x-ratelimit-limit"] == "100"
    assert answers[-1].status_code == 429
    late = await host.refresh(tokens)
    refused(late, "temporarily_unavailable", 429)
    assert int(late.headers["retry-after"]) >= 1


async def test_last_use_is_the_keys(account: Account, bare: httpx2.AsyncClient, service: Service) -> None:
    """A host's request is one of its key."""
    host = await register(bare)
    tokens = await host.connect(account.key)
    service.last_uses.take()
    ok(await host.calls(tokens))
    assert list(service.last_uses.take()[account.row.id]) == [account.key[11:19]]


async def test_what_ended_is_forgotten(
    account: Account, bare: httpx2.AsyncClient, hand_clock: HandClock, dsn: str
) -> None:
    """Codes that nobody came with, used tokens, grants without tokens: a day after their end they go."""
    hand_clock.at = NOON
    host = await register(bare)
    await host.let_in(account.key)
    await host.connect(account.key)
    assert await rows(dsn, account) == 2
    hand_clock.at = NOON + dt.timedelta(days=32)
    await host.connect(account.key)
    assert await rows(dsn, account) == 1
    assert await rows(dsn, account, "oauth_token") == 3


async def test_no_token_is_stored_as_it_is(account: Account, bare: httpx2.AsyncClient, dsn: str) -> None:
    """Nor its secret: a search of every row of both tables finds hashes."""
    host = await register(bare)
    code = await host.let_in(account.key)
    tokens = ok(await host.redeem(code))
    newer = ok(await host.refresh(tokens))
    secrets_ = [code, *(of[name] for of in (tokens, newer) for name in ("access_token", "refresh_token"))]
    async with connected(dsn) as connection:
        for table in ("oauth_grant", "oauth_token", "api_key"):
            for record in await connection.fetch(f"SELECT t::text AS row FROM {table} t"):
                assert not any(raw in record["row"] or raw[18:61] in record["row"] for raw in secrets_)
        stored = {record["token_hash"] for record in await connection.fetch("SELECT token_hash FROM oauth_token")}
    assert {keys.hash_secret(raw) for raw in secrets_} <= stored


@pytest.mark.parametrize("way", ["page", "code", "refresh", "access", "revoke"])
async def test_failures_are_counted_by_network(service: Service, account: Account, way: str) -> None:
    """Whatever is tried, and wherever: so many a minute, then 429. A good key is let through from there, as always."""
    few = msgspec.structs.replace(service.settings, aurra_failed_authentications=3)
    guarded = msgspec.structs.replace(service, settings=few, limiter=Limiter())
    network = f"10.{random.randrange(256)}.{random.randrange(256)}"
    app: Any = build_app(guarded)
    transport = httpx2.ASGITransport(app, client=(f"{network}.7", 1))
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        host = await register(http)
        wrong = oauth.make_token("access", account.key[11:19])

        async def fail() -> int:
            match way:
                case "page":
                    return (await consent(browser_of(http), host.asks(), keys.make_key().raw)).status_code
                case "code":
                    return (await host.redeem(oauth.make_token("code", "abcdefgh"))).status_code
                case "refresh":
                    return (await host.refresh({"refresh_token": "nonsense"})).status_code
                case "revoke":
                    return (await host.post("/oauth/revoke", token=wrong)).status_code
                case _:
                    return (await host.calls({"access_token": wrong})).status_code

        statuses = [await fail() for _ in range(4)]
        assert 429 not in statuses[:3] and statuses[3] == 429
        ok(await host.calls(await host.connect(account.key)))
