"""Secrets stay where they belong: canaries, many failures, and a search of all that is written down."""

import asyncio
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from aurra import sealing
from aurra.store.embedded import EmbeddedPostgres, find_binaries
from tests.faces.connecting import register
from tests.plain import connected, execute
from tests.providers.scripted_provider import Exchange, ScriptedProvider
from tests.running import Running, aurra, running

CONTENT = "canary-content-5b8e1f"
MODEL_KEYS = {
    "of a request": "sk-canary-request-77ac",
    "of an account": "sk-canary-account-91fe",
    "of the server": "sk-canary-server-30db",
}
TOKENS = ("access_token", "refresh_token")
PASSWORD = "canary-password-d1c4"
WRITE = "/agent/memories"


class Said:
    """All that the service says to its clients, but for what is asked of it."""

    def __init__(self, service: Running, key: str) -> None:
        self.service = service
        self.key = key
        self.errors: list[bytes] = []
        self.answers: list[bytes] = []

    async def send(self, method: str, path: str, key: str | None = None, **of: Any) -> httpx2.Response:
        """An answer, kept with its headers."""
        headers = {"Authorization": f"Bearer {key or self.key}", **of.pop("headers", {})}
        async with httpx2.AsyncClient(timeout=30) as client:
            answer = await client.request(method, f"{self.service.url}{path}", headers=headers, **of)
        kept = repr(answer.headers).encode() + answer.content
        (self.answers if answer.status_code == 200 else self.errors).append(kept)
        return answer


async def fails_with_all_it_was_told(exchange: Exchange) -> None:
    """A provider that quotes the key and the request in its error."""
    told = f"{exchange.request.headers} {exchange.request.body}".replace('"', "'")
    await exchange.reply(500, f'{{"error":{{"message":"{told}"}}}}'.encode())


async def provoke(said: Said, dsn: str, provider: ScriptedProvider) -> None:
    """Whatever can go wrong, with a canary in it."""
    json = {"Content-Type": "application/json"}
    llm = {"provider": "openai", "model": "m", "api_key": MODEL_KEYS["of a request"], "base_url": provider.base_url}
    for body in (
        f'{{"content":"{CONTENT}"',
        f'{{"content":["{CONTENT}"]}}',
        f'{{"content":"{CONTENT}\\u0000"}}',
        f'{{"content":"{CONTENT}","importance_score":"{CONTENT}"}}',
        f'{{"content":"{CONTENT}","valid_from":"{CONTENT}"}}',
        f'{{"content":"{CONTENT}","importance_score":99}}',
        f'{{"content":"{CONTENT}","metadata":{"[" * 40}1{"]" * 40}}}',
        f'{{"content":"x","llm":{{"provider":"{CONTENT}","api_key":"{MODEL_KEYS["of a request"]}"}}}}',
        f'{{"content":"x","llm":{{"provider":"openai","api_key":["{MODEL_KEYS["of a request"]}"]}}}}',
        f'{{"messages":[{{"role":"user","content":"{CONTENT}","at":"{CONTENT}"}}]}}',
    ):
        await said.send("POST", WRITE, content=body.encode(), headers=json)
    await said.send("POST", WRITE, content=CONTENT.encode(), headers={"Content-Type": "text/plain"})
    await said.send("GET", f"/no/such/{uuid4()}")
    for wrong in (said.key[:-1] + "~", said.key.swapcase(), said.key + "x", f" {said.key}x"):
        await said.send("GET", "/plan/status", key=wrong)
    await said.send("POST", WRITE, json={"messages": [{"role": "user", "content": CONTENT}], "llm": llm})
    await said.send("POST", "/agent/query", json={"question": CONTENT, "llm": llm})
    await said.send("PATCH", "/agent/provider", json={**llm, "api_key": MODEL_KEYS["of an account"]})
    await said.send("GET", "/agent/provider")
    await said.send("POST", "/agent/query", json={"question": CONTENT})
    once = {"Idempotency-Key": "once"}
    await said.send("POST", WRITE, json={"content": CONTENT}, headers=once)
    await said.send("POST", WRITE, json={"content": f"{CONTENT} too"}, headers=once)
    # The database goes away under a write, and is locked against another.
    writes = [said.send("POST", WRITE, json={"content": f"{CONTENT} {number}"}) for number in range(20)]
    killing = execute(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aurra'")
    await asyncio.gather(*writes, killing)
    async with connected(dsn) as connection, connection.transaction():
        await connection.execute("LOCK TABLE version, content")
        await said.send("POST", WRITE, json={"content": f"{CONTENT} locked"})
    async with connected(dsn) as connection:
        await connection.execute("ALTER TABLE content ADD CONSTRAINT never CHECK (text <> '') NOT VALID")
        await connection.execute("ALTER TABLE content ADD COLUMN broken text NOT NULL DEFAULT ''")
        await connection.execute("ALTER TABLE content ALTER COLUMN broken DROP DEFAULT")
        answer = await said.send("POST", WRITE, json={"content": f"{CONTENT} broken"})
        assert answer.status_code >= 400
        await connection.execute("ALTER TABLE content DROP COLUMN broken, DROP CONSTRAINT never")


async def connected_host(url: str, key: str) -> dict[str, str]:
    """What a host is given to present: one that is let in, refreshes, fails, and brings a code twice."""
    async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
        host = await register(http)
        code = await host.let_in(key)
        assert (await host.redeem(code, code_verifier="x" * 43)).status_code == 400
        first = (await host.redeem(code)).json()
        second = (await host.refresh(first)).json()
        assert (await host.calls(second)).status_code == 200
        assert (await host.redeem(code)).status_code == 400
        assert (await host.calls(second)).status_code == 401
    named = {f"{number} {name}": token[name] for number, token in enumerate((first, second)) for name in TOKENS}
    return {"code": code, **named}


def found(secrets: dict[str, str], where: dict[str, bytes]) -> list[tuple[str, str]]:
    """Which secret stands where."""
    return [
        (name, place) for name, secret in secrets.items() for place, text in where.items() if secret.encode() in text
    ]


def files(directory: Path) -> Iterable[Path]:
    return (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.timeout(180)
async def test_no_secret_is_written_down(tmp_path: Path) -> None:
    """Keys of callers and of models, what seals them, the database's password: in no log, answer, command, dump, file
    or WAL. What memories say is in the database, and in no log and no error."""
    sealing_key = sealing.new_key()
    postgres = EmbeddedPostgres.open(tmp_path / "home")
    try:
        await execute(postgres.dsn, f"CREATE ROLE canary LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        socket = postgres.dsn.split("?", 1)[1]
        url = f"postgresql://canary:{PASSWORD}@/aurra?{socket}"
        settings = {
            "database_url": url,
            "aurra_embedder": "none",
            "aurra_log_level": "debug",
            "aurra_secret_keys": sealing_key,
            "aurra_llm_provider": "extractive",
            "aurra_llm_api_key": MODEL_KEYS["of the server"],
            "aurra_llm_allowed_networks": "127.0.0.0/8",
            "aurra_llm_budget_seconds": 1,
        }
        log = tmp_path / "log"
        async with ScriptedProvider() as provider:
            provider.always(fails_with_all_it_was_told)
            with running(log, **settings) as service:
                service.command("accounts", "create", "canary")
                key = service.command("keys", "create", "--account", "canary").strip()
                said = Said(service, key)
                await provoke(said, postgres.dsn, provider)
                tokens = await connected_host(service.url, key)
                shown = "".join(service.command(*words.split()) for words in ("keys list", "secrets rewrap"))
                assert len(said.errors) > 20
                assert service.stop() == 0
        refusals = [
            refused(service.environment, DATABASE_URL=url.replace(PASSWORD, f"{PASSWORD}-wrong")),
            refused(service.environment, DATABASE_URL=f"postgresql://canary:{PASSWORD}%zz@[x/aurra"),
            refused(service.environment, AURRA_SECRET_KEYS=f"{sealing_key}x"),
        ]
        await execute(postgres.dsn, "CHECKPOINT")
        dump = subprocess.run([find_binaries() / "pg_dump", postgres.dsn], capture_output=True, check=True).stdout
    finally:
        postgres.close()
    state = tmp_path / "home" / "postgres"
    kept = {str(path.relative_to(state)): path.read_bytes() for path in files(state) if path.name != "password"}
    told = {
        "the service's log": log.read_bytes(),
        "errors": b"".join(said.errors),
        "commands": (shown + "".join(refusals)).encode(),
        "PostgreSQL's log": kept.get("log", b""),
    }
    tokens |= {f"the secret of {name}": token[18:61] for name, token in tokens.items()}
    secrets = {
        **MODEL_KEYS,
        **tokens,
        "key": key,
        "its secret": key[19:62],
        "sealing key": sealing_key,
        "password": PASSWORD,
    }
    everything = {**told, "answers": b"".join(said.answers), "the dump": dump, **kept}
    assert found(secrets, everything) == []
    assert found({"content": CONTENT}, told) == []
    # The search finds what is there.
    places = {place for _, place in found({"content": CONTENT}, everything)}
    assert "the dump" in places
    assert any("pg_wal" in place for place in places)
    assert len(provider.requests) > 2


def refused(environment: dict[str, str], **changed: str) -> str:
    """What `aurra serve` says that cannot start."""
    with pytest.raises(RuntimeError) as caught:
        aurra(("serve",), {**environment, **changed})
    return str(caught.value)
