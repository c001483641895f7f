"""OAuth's forms: tokens, client ids, where a code may go, what fits what."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra import keys, oauth
from aurra.oauth import Client, Kind

SECRET = b"s" * 32
KINDS: tuple[Kind, ...] = ("code", "access", "refresh")


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_names_its_key_and_is_of_one_kind(kind: Kind) -> None:
    """It is found by the key's id, and is neither a key nor a token of another kind."""
    raw = oauth.make_token(kind, "abcdEFGH")
    assert re.fullmatch(r"aurra_o(ac|at|rt)_abcdEFGH[0-9A-Za-z]{49}", raw)
    assert [oauth.key_id_of(raw, one) for one in KINDS] == ["abcdEFGH" if one == kind else None for one in KINDS]
    assert keys.key_id_of(raw) is None
    assert oauth.key_id_of(keys.make_key().raw, kind) is None


@given(st.integers(10, 66), st.sampled_from(keys.ALPHABET + "_~\n"))
def test_a_mistyped_token_is_refused_without_a_look_up(place: int, character: str) -> None:
    """Any one character changed gives no id at all."""
    raw = oauth.make_token("access", "abcdEFGH")
    changed = raw[:place] + character + raw[place + 1 :]
    assert changed == raw or oauth.key_id_of(changed, "access") is None


@given(st.text(max_size=50), st.lists(st.text(max_size=50), max_size=5), st.data())
def test_a_client_id_says_what_was_registered_and_nothing_else_does(
    name: str, uris: list[str], data: st.DataObject
) -> None:
    """It comes back as it was; by no other installation, and not with a character changed."""
    client = Client(name, uris)
    client_id = oauth.client_id_of(client, SECRET)
    assert oauth.client_of(client_id, SECRET) == client
    assert oauth.client_of(client_id, b"t" * 32) is None
    place = data.draw(st.integers(0, len(client_id) - 2))
    changed = client_id[:place] + ("A" if client_id[place] != "A" else "B") + client_id[place + 1 :]
    assert oauth.client_of(changed, SECRET) is None


@given(st.text())
def test_any_text_may_be_presented_as_a_client_or_a_token(text: str) -> None:
    """Nothing is raised."""
    assert oauth.client_of(text, SECRET) is None and oauth.client_of(f"aurra_client_{text}", SECRET) is None
    assert oauth.key_id_of(text, "access") is None and oauth.key_id_of(f"aurra_oat_{text}", "access") is None
    assert not oauth.is_verified(text, "x") and oauth.asked_scopes(text)
    assert not oauth.may_redirect(Client("x", ["http://127.0.0.1/cb"]), text)
    assert not oauth.is_resource(text, "https://memory.example")


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai/api/mcp/auth_callback",
        "https://host.example:8443/cb?a=b",
        "http://127.0.0.1:33418",
        "http://127.0.0.1:33418/",
        "http://localhost/callback",
        "http://[::1]:9/cb",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "vscode://vscode.github-authentication/did-authenticate",
        "com.example.app:/oauth",
        "ms-app:/oauth",
        "MS-App:/oauth",
    ],
)
def test_a_code_may_go_to_hosts_and_programs(uri: str) -> None:
    """https, the loopback, and an app's own scheme."""
    if uri == "http://127.0.0.1:33418":
        # Without a path it is another spelling of the next.
        assert oauth.may_redirect(Client("x", ["http://127.0.0.1/"]), uri)
        return
    oauth.require_redirect(uri)
    assert oauth.may_redirect(Client("x", [uri]), uri)


@pytest.mark.parametrize(
    "uri",
    [
        "http://host.example/cb",
        "http://127.0.0.1.host.example/cb",
        "http://127.0.0.1@host.example/cb",
        "https://user@host.example/cb",
        "https://host.example/cb#part",
        "https://host.example/cb#",
        "https:///cb",
        "https:/cb",
        "https://host.example:0/cb",
        "https://host.example:99999/cb",
        "https://host.example:x/cb",
        "https://host.example\\@evil.example/cb",
        "https://hóst.example/cb",
        "https://host.example/c b",
        "https://host.example/cb\n",
        'https://host.example/"><script>',
        "javascript:/alert(1)",
        "JavaScript:/alert(1)",
        "data:/text",
        "file:///etc/passwd",
        "blob:/x",
        "mailto:/x",
        "/cb",
        "//host.example/cb",
        "//host.example:/cb",
        "\\\\host.example:/cb",
        "/\\host.example:/cb",
        "\r\nset-cookie:/x=1",
        "cb",
        "",
        "https://host.example/" + "x" * 500,
    ],
)
def test_a_code_goes_nowhere_else(uri: str) -> None:
    """Each with a sentence."""
    with pytest.raises(ValueError, match=r"must|only|own"):
        oauth.require_redirect(uri)


@given(st.text(alphabet="abcAB/:.@#?[]01 %&=-_\\\n", max_size=40))
def test_whatever_is_compared_with_a_registered_uri_has_its_host(tail: str) -> None:
    """However it is spelled, only the port of the loopback may differ."""
    client = Client("x", ["http://127.0.0.1/cb"])
    uri = f"http://127.0.0.1{tail}"
    if oauth.may_redirect(client, uri):
        assert re.fullmatch(r"http://127\.0\.0\.1(:[0-9]*)?/cb\??", uri)


def test_the_verifier_of_the_standards_example_fits() -> None:
    """RFC 7636, appendix B."""
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert oauth.is_challenge(challenge)
    assert oauth.is_verified("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge)
    assert not oauth.is_verified("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", challenge)
    assert not oauth.is_verified(challenge, challenge)


@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        ("https://memory.example", True),
        ("https://memory.example/", True),
        ("https://memory.example/mcp", True),
        ("https://Memory.Example/mcp/", True),
        ("http://memory.example/mcp", False),
        ("https://memory.example:444/mcp", False),
        ("https://memory.example/mcp?x=1", False),
        ("https://memory.example/other", False),
        ("https://memory.example.evil.example/mcp", False),
        ("https://[", False),
    ],
)
def test_a_resource_is_this_service(text: str, is_ours: bool) -> None:
    """RFC 8707."""
    assert oauth.is_resource(text, "https://memory.example") == is_ours


def test_keys_are_managed_by_no_host() -> None:
    """Whatever is asked for, and whatever the key may."""
    assert "keys:manage" not in oauth.asked_scopes("keys:manage full")
    assert oauth.granted_scopes(keys.SCOPES, keys.SCOPES, read_only=False) == list(oauth.GRANTABLE)
    assert oauth.granted_scopes(["query"], ["memories:read"], read_only=False) == []
    assert set(oauth.granted_scopes(keys.SCOPES, keys.SCOPES, read_only=True)) == {*keys.BUNDLES["read_only"]}


def test_what_is_unknown_asks_for_nothing_less() -> None:
    """A host that names OpenID's scopes alone gets what the key may."""
    assert oauth.asked_scopes("openid offline_access") == list(oauth.GRANTABLE)
    assert oauth.asked_scopes("query openid") == ["query"]
    assert oauth.asked_scopes("read_only") == [scope for scope in oauth.GRANTABLE if scope in keys.BUNDLES["read_only"]]
