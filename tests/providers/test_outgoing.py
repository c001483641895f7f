"""T13 for models: whatever address a caller names, nothing inside is ever connected to."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurra.app import open_service
from aurra.context import Service
from aurra.errors import CannotStart
from aurra.providers import outgoing
from aurra.providers.outgoing import AddressRefused, Checked, is_allowed, networks
from aurra.settings import read_settings
from tests.conftest import MakeAccount, client_at
from tests.providers.scripted_provider import ScriptedProvider, status

PUBLIC = "93.184.216.34"

INSIDE = [
    # this machine, and forms that the system's resolver takes for it
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "00",
    "0x0",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.1",
    "0177.1",
    "00000177.0.0.01",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "%31%32%37.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    # translated, tunnelled
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:7f00:1::]",
    "192.88.99.1",
    # private, shared, link-local, where clouds tell their secrets
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.170.2",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "192.0.0.192",
    "168.63.129.16",
    # broadcast, multicast, reserved, examples
    "255.255.255.255",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "[ff02::1]",
    "[ff0e::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[100::1]",
    "[5f00::1]",
    # full-width digits, ideographic full stops, letters in circles: resolvers read them as 127.0.0.1 and localhost
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "ⓛocalhost",
    "127.0.0.1%00",
    "127.0.0.1%0d%0aX",
]
"""Hosts as they stand in a URL."""

OUTSIDE = [PUBLIC, "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "169.253.0.1", "2606:4700::1111", "2a00:1450::1"]


class Recording(httpx2.AsyncBaseTransport):
    """Where connections are made; those that the test lists fail."""

    def __init__(self, *unreachable: str) -> None:
        self.requests: list[httpx2.Request] = []
        self._unreachable = unreachable

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.requests]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.url.host in self._unreachable:
            raise httpx2.ConnectError("scripted")
        return httpx2.Response(200, json={})


class Names:
    """A resolver that says something else each time; the last for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def client(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=transport, timeout=2)


# Which addresses


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_public_internet_is_allowed(address: str) -> None:
    """Also where it comes mapped into IPv6."""
    assert is_allowed(address, ())
    if "." in address:
        assert is_allowed(f"::ffff:{address}", ())


@given(st.ip_addresses())
def test_what_the_standard_library_calls_not_global_is_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Ours is a part of its `is_global`, never more."""
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped
    if is_allowed(str(address), ()):
        assert mapped or (address.is_global and not address.is_multicast)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    """Translated and tunnelled forms of whatever address are refused; the mapped one is that address."""
    low, high = f"{int(address) & 0xFFFF:x}", f"{int(address) >> 16:x}"
    assert not is_allowed(f"64:ff9b::{high}:{low}", ())
    assert not is_allowed(f"2002:{high}:{low}::1", ())
    assert is_allowed(f"::ffff:{address}", ()) == is_allowed(str(address), ())


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "1.2.3.4/8", "fe80::1%eth0", "::1%1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert not is_allowed(text, ())


def test_an_operator_allows_networks() -> None:
    """Those, with mapped forms, and no others."""
    allowed = networks("10.1.0.0/16, fd00::/8,127.0.0.1", "X")
    assert all(is_allowed(address, allowed) for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1"))
    assert not any(is_allowed(address, allowed) for address in ("10.2.0.1", "fc00::1", "127.0.0.2", "::1"))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0-10.0.0.9"])
def test_a_network_that_cannot_be_read_stops_the_start(text: str) -> None:
    """A typing error must not open more than was meant."""
    with pytest.raises(CannotStart, match="AURRA_LLM_ALLOWED_NETWORKS"):
        networks(text, "AURRA_LLM_ALLOWED_NETWORKS")


# The transport


@pytest.mark.parametrize("host", INSIDE)
async def test_nothing_inside_is_connected_to(host: str, tls: ssl.SSLContext) -> None:
    """Refused before any connection, in whatever form it is written, whatever the system's resolver makes of it."""
    inner = Recording()
    async with client(Checked(tls, inner=inner)) as outside:
        with pytest.raises((AddressRefused, httpx2.ConnectError, httpx2.InvalidURL)):
            await outside.post(f"http://{host}:8080/v1/chat/completions", json={})
    assert inner.requests == []


def test_there_are_enough_forms() -> None:
    assert len(set(INSIDE)) >= 60


async def test_the_checked_address_is_the_one_connected_to(tls: ssl.SSLContext) -> None:
    """Rebinding: a name is looked up once a request, and what it says later is looked at later."""
    names, inner = Names([PUBLIC], ["127.0.0.1"]), Recording()
    async with client(Checked(tls, inner=inner, resolve=names)) as outside:
        assert (await outside.get("https://rebinding.example/x")).status_code == 200
        with pytest.raises(AddressRefused):
            await outside.get("https://rebinding.example/x")
    assert inner.hosts == [PUBLIC] and names.asked == ["rebinding.example"] * 2


@pytest.mark.parametrize("found", [[PUBLIC, "127.0.0.1"], ["::1", PUBLIC], [PUBLIC, "10.0.0.1", PUBLIC]])
async def test_one_address_inside_refuses_the_name(found: list[str], tls: ssl.SSLContext) -> None:
    """All are checked before the first is connected to."""
    inner = Recording()
    async with client(Checked(tls, inner=inner, resolve=Names(found))) as outside:
        with pytest.raises(AddressRefused):
            await outside.get("http://mixed.example/")
    assert inner.requests == []


async def test_host_and_certificate_stay_the_names(tls: ssl.SSLContext) -> None:
    """Only the address is exchanged: Host, path, body and the name that the certificate must have are the URL's."""
    inner = Recording()
    async with client(Checked(tls, inner=inner, resolve=Names([PUBLIC]))) as outside:
        await outside.post("https://models.example:8443/v1/chat?x=1", json={"a": 1})
    (request,) = inner.requests
    assert str(request.url) == f"https://{PUBLIC}:8443/v1/chat?x=1"
    assert request.headers["host"] == "models.example:8443"
    assert request.extensions["sni_hostname"] == "models.example"
    assert await request.aread() == b'{"a":1}'


async def test_an_address_that_does_not_answer_gives_way_to_the_next(tls: ssl.SSLContext) -> None:
    """In the resolver's order, as far as the fourth."""
    found = ["2606:4700::1", PUBLIC, "8.8.8.8"]
    inner = Recording("2606:4700::1")
    async with client(Checked(tls, inner=inner, resolve=Names(found))) as outside:
        assert (await outside.get("https://models.example/")).status_code == 200
    assert inner.hosts == found[:2]
    many = [f"8.8.8.{n}" for n in range(9)]
    inner = Recording(*many)
    async with client(Checked(tls, inner=inner, resolve=Names(many))) as outside:
        with pytest.raises(httpx2.ConnectError):
            await outside.get("https://models.example/")
    assert inner.hosts == many[: outgoing.MOST_ADDRESSES]


async def test_a_name_that_is_not_resolved_ends_in_time(tls: ssl.SSLContext) -> None:
    """A resolver that hangs costs the time-out of a connection; one that fails or knows nothing is a failure."""

    async def hang(host: str, port: int) -> list[str]:
        return await asyncio.get_running_loop().create_future()

    async def broken(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    for resolve, kind in (
        (hang, httpx2.ConnectTimeout),
        (broken, httpx2.ConnectError),
        (Names([]), httpx2.ConnectError),
    ):
        timeout = httpx2.Timeout(1, connect=0.05)
        async with httpx2.AsyncClient(transport=Checked(tls, resolve=resolve), timeout=timeout) as outside:
            with pytest.raises(kind):
                await outside.get("http://models.example/")


async def test_no_proxy_of_the_environment_is_used(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect for us, to whatever it likes."""
    async with counting() as proxy, ScriptedProvider() as provider:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for spelled in (name, name.lower()):
                monkeypatch.setenv(spelled, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with client(Checked(tls, networks("127.0.0.0/8", "X"))) as outside:
            assert (await outside.post(f"{provider.base_url}/chat/completions", json={})).status_code == 200
        assert proxy.connected == 0


async def test_the_certificate_must_be_the_names(tmp_path: Path) -> None:
    """TLS is checked against the URL's name, though an address is connected to: right and wrong, on a real socket."""
    server_tls, authority = certificate(tmp_path, "models.example")
    async with serving(server_tls) as port:
        transport = Checked(authority, networks("127.0.0.0/8", "X"), resolve=Names(["127.0.0.1"]))
        async with client(transport) as outside:
            assert (await outside.get(f"https://models.example:{port}/")).status_code == 200
            with pytest.raises(httpx2.ConnectError, match=r"[Hh]ostname mismatch"):
                await outside.get(f"https://another.example:{port}/")


# Through the service


class Counting:
    """A listener that counts who connects."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connected = 0


@contextlib.asynccontextmanager
async def counting() -> AsyncGenerator[Counting]:
    """On every address of this machine, IPv4 and, where there is one, IPv6."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        found = Counting(probe.getsockname()[1])

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connected += 1
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(await asyncio.start_server(connected, "0.0.0.0", found.port))
        with contextlib.suppress(OSError):
            await stack.enter_async_context(await asyncio.start_server(connected, "::", found.port))
        yield found


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext) -> AsyncGenerator[int]:
    """A web server that says 200; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def certificate(directory: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS with a certificate for that name, and a client's that trusts it."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2120, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = directory / "chain.pem"
    chain.write_bytes(pem + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    trusting = ssl.create_default_context(cadata=pem.decode())
    return server, trusting


@pytest.fixture(scope="module")
async def strict(dsn: str, service: Service) -> AsyncIterator[Service]:
    """A service as it comes: callers may name base URLs, and no network beside the Internet is allowed."""
    assert service
    with tempfile.TemporaryDirectory() as home:
        settings = read_settings({"AURRA_EMBEDDER": "none", "AURRA_HOME": home, "AURRA_LLM_BUDGET_SECONDS": "1"})
        async with open_service(settings, dsn) as running:
            yield running


@pytest.fixture
async def caller(strict: Service, make_account: MakeAccount) -> AsyncIterator[httpx2.AsyncClient]:
    account = await make_account()
    await account.add("Kim lives in Oslo")
    async with client_at(strict, account) as made:
        yield made


async def asked(caller: httpx2.AsyncClient, **llm: Any) -> httpx2.Response:
    body = {"question": "Where does Kim live?", "llm": {"model": "m", "api_key": "sk-1", **llm}}
    return await caller.post("/agent/query", json=body)


async def test_no_request_reaches_what_is_inside(caller: httpx2.AsyncClient) -> None:
    """T13: every form, through the service with either adapter: 0 TCP connects, and an error that says so."""
    async with counting() as listener:
        for number, host in enumerate(INSIDE):
            provider = ("openai", "anthropic")[number % 2]
            refused = await asked(caller, provider=provider, base_url=f"http://{host}:{listener.port}")
            assert refused.status_code in (400, 503), (host, refused.text)
            assert refused.json()["code"] in ("bad_provider", "llm_provider_refused", "llm_provider_error"), host
        assert listener.connected == 0


@pytest.mark.parametrize("provider", ["ollama", "vllm", "lmstudio"])
async def test_a_preset_on_this_machine_is_the_operators_to_allow(caller: httpx2.AsyncClient, provider: str) -> None:
    """A caller elsewhere may not use what listens beside the service; the sentence is one of the caller's own error."""
    refused = await asked(caller, provider=provider)
    assert refused.status_code == 400 and refused.json()["code"] == "llm_provider_refused"
    assert "may not connect" in refused.json()["detail"]["message"]


async def test_a_stored_address_is_checked_too(caller: httpx2.AsyncClient) -> None:
    """What PATCH /agent/provider took is asked as a request's own is: 0 TCP connects."""
    async with counting() as listener:
        stored = {"provider": "vllm", "model": "m", "base_url": f"http://127.0.0.1:{listener.port}/v1"}
        assert (await caller.patch("/agent/provider", json=stored)).status_code == 200
        refused = await caller.post("/agent/query", json={"question": "Where does Kim live?"})
        assert (refused.status_code, listener.connected) == (400, 0)


async def test_the_operators_own_default_may_be_anywhere(dsn: str, make_account: MakeAccount) -> None:
    """A model on this machine or network, set in the environment, needs no list of networks."""
    account = await make_account()
    await account.add("Kim lives in Oslo")
    answer = {"sentences": [{"text": "Kim lives in Oslo.", "citations": [1]}]}
    async with ScriptedProvider(lambda _: answer) as provider:
        settings = read_settings(
            {
                "AURRA_EMBEDDER": "none",
                "AURRA_LLM_PROVIDER": "ollama",
                "AURRA_LLM_MODEL": "m",
                "AURRA_LLM_BASE_URL": provider.base_url,
            }
        )
        async with (
            open_service(settings, dsn) as running,
            client_at(running, account) as caller,
        ):
            said = await caller.post("/agent/query", json={"question": "Where does Kim live?"})
            assert said.json()["answer"] == "Kim lives in Oslo." and len(provider.requests) == 1
            refused = await asked(caller, provider="ollama", base_url=provider.base_url)
            assert refused.status_code == 400 and len(provider.requests) == 1


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_leads_nowhere(account: Any, name: str, code: int) -> None:
    """From an address that is allowed to one that is not: 0 TCP connects there."""
    await account.add("Kim lives in Oslo")
    async with counting() as listener, ScriptedProvider() as provider:
        provider.always(status(code, {"Location": f"http://127.0.0.1:{listener.port}/v1"}))
        base_url = provider.root if name == "anthropic" else provider.base_url
        refused = await asked(account.client, provider=name, base_url=base_url)
        assert refused.status_code == 400 and listener.connected == 0
        assert len(provider.requests) == 1


async def test_an_operator_may_take_no_base_urls(dsn: str, make_account: MakeAccount) -> None:
    """With AURRA_LLM_ALLOW_BASE_URLS=false neither a request nor a change of the stored model names one."""
    account = await make_account()
    settings = read_settings({"AURRA_EMBEDDER": "none", "AURRA_LLM_ALLOW_BASE_URLS": "false"})
    async with (
        open_service(settings, dsn) as running,
        client_at(running, account) as caller,
    ):
        refused = await asked(caller, provider="openai", base_url="https://models.example/v1")
        assert refused.json()["code"] == "bad_provider" and refused.json()["param"] == "llm.base_url"
        stored = {"provider": "vllm", "model": "m", "base_url": "https://models.example/v1"}
        refused = await caller.patch("/agent/provider", json=stored)
        assert refused.status_code == 400 and refused.json()["code"] == "bad_provider"
