"""Where the service is reached, as its clients know it."""

from typing import Any

import httpx2
import msgspec
import pytest

from aurra import networks
from aurra.app import build_app
from aurra.context import Service
from aurra.errors import CannotStart
from aurra.settings import read_settings

PATH = "/.well-known/oauth-authorization-server"


async def issuer(service: Service, headers: dict[str, str], peer: str = "127.0.0.1", base: str = "http://aurra") -> str:
    app: Any = build_app(service)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app, client=(peer, 1)), base_url=base) as http:
        answer = await http.get(PATH, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["issuer"]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("Memory.Example", "http://memory.example"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("user@evil.example", "http://aurra"),
        ("", "http://aurra"),
    ],
)
async def test_the_host_is_the_requests(service: Service, host: str, origin: str) -> None:
    """One that can be none is not repeated."""
    assert (await issuer(service, {"Host": host})).removesuffix(":80") == origin


@pytest.mark.parametrize("host", ['evil.example"><x', "evil.example/path", "evil.example\\x"])
async def test_a_host_that_breaks_a_url_is_refused(bare: httpx2.AsyncClient, host: str) -> None:
    """Before anything is made of it."""
    answer = await bare.get(PATH, headers={"Host": host})
    assert answer.status_code == 400 and "evil" not in answer.text


async def test_a_proxy_is_believed_where_it_is_trusted(service: Service) -> None:
    """Its own word alone, which stands last; nobody else's, from wherever."""
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example, memory.example", "Host": "inside"}
    behind = msgspec.structs.replace(service, trusted_proxies=networks.read_setting("10.0.0.0/8", "x"))
    assert await issuer(behind, said, peer="10.1.2.3") == "https://memory.example"
    assert (
        await issuer(behind, {"X-Forwarded-Proto": "https", "Host": "a.example"}, peer="10.1.2.3")
        == "https://a.example"
    )
    assert await issuer(behind, said, peer="192.0.2.1") == "http://inside"
    assert await issuer(service, said) == "http://inside"
    assert await issuer(service, {}, base="https://aurra") == "https://aurra"


async def test_the_operator_may_say_it(service: Service) -> None:
    """AURRA_PUBLIC_URL, whatever requests say."""
    settings = msgspec.structs.replace(service.settings, aurra_public_url="https://memory.example:8443/")
    said = msgspec.structs.replace(service, settings=settings)
    assert await issuer(said, {"Host": "inside"}) == "https://memory.example:8443"


@pytest.mark.parametrize("url", ["memory.example", "https://memory.example/path", "ftp://x", "https://a b", "https://"])
def test_a_public_url_that_is_no_origin_is_refused(url: str) -> None:
    """At the start, with the setting's name."""
    with pytest.raises(CannotStart, match="AURRA_PUBLIC_URL"):
        read_settings({"AURRA_PUBLIC_URL": url})
