"""The account's own model: GET, PATCH and DELETE /agent/provider, and where its key must never be found."""

import asyncio
import base64
import os
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aurra import sealing
from aurra.app import open_service
from aurra.context import Service
from aurra.errors import BadRequest, CannotStart, Unavailable
from aurra.faces import examining
from aurra.settings import read_settings
from aurra.store.embedded import find_binaries
from aurra.store.secret_keys import SecretKeys
from tests.conftest import Account, HandClock, MakeAccount, client_at, service_on
from tests.faces.wire import problem
from tests.plain import connected, execute, own_database
from tests.providers.scripted_provider import (
    KEY,
    ScriptedProvider,
    answers,
    cuts_short,
    hangs,
    resets,
    says,
    status,
)
from tests.running import Running, running

PATH = "/agent/provider"
NONE = {"provider": None, "model": None, "base_url": None, "extra": None, "last_four": None, "changed_at": None}
ANSWER = {"sentences": [{"text": "Kim lives in Oslo.", "citations": [1]}]}


def scripted() -> ScriptedProvider:
    return ScriptedProvider(lambda _: ANSWER)


@pytest.fixture(scope="module")
async def dsn(dsn: str) -> AsyncIterator[str]:
    """A database of its own: the doctor goes through every account there is."""
    async with own_database(dsn) as own:
        yield own


@pytest.fixture(scope="module")
async def service(dsn: str, clock: HandClock) -> AsyncIterator[Service]:
    """The service on it."""
    async with service_on(dsn, clock) as running:
        yield running


def stored(provider: ScriptedProvider, **fields: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": "m-1", "api_key": KEY, "base_url": provider.base_url, **fields}


async def change(account: Account, **fields: Any) -> dict[str, Any]:
    response = await account.client.patch(PATH, json=fields)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(account: Account, **fields: Any) -> dict[str, Any]:
    return problem(await account.client.patch(PATH, json=fields), 400)


def require_unreadable(response: httpx2.Response) -> None:
    said = response.json()
    assert (response.status_code, said["code"]) == (503, "stored_key_unreadable")
    assert "api_key" in said["hint"] and response.headers["Retry-After"] and isinstance(said["detail"], str)


async def shown(account: Account) -> dict[str, Any]:
    return await account.get(PATH)


async def ask(account: Account, **fields: Any) -> httpx2.Response:
    return await account.client.post("/agent/query", json={"question": "Where does Kim live?", **fields})


@asynccontextmanager
async def another_service(dsn: str, account: Account, **settings: str) -> AsyncGenerator[Account]:
    """The same account at another service on the same database."""
    async with (
        open_service(read_settings({"AURRA_EMBEDDER": "none", **settings}), dsn) as service,
        client_at(service, account) as client,
    ):
        yield Account(account.row, account.key, client)


@pytest.fixture
async def kim(account: Account) -> Account:
    """An account that has something to ask about."""
    await account.add("Kim lives in Oslo")
    return account


# What is set, and what is shown


async def test_without_one_all_is_null(account: Account) -> None:
    """An object all the same."""
    assert await shown(account) == {"warnings": [], **NONE}


async def test_the_key_is_never_shown(account: Account) -> None:
    """Neither by the change nor later: its last four characters tell it from others."""
    made = await change(account, provider="groq", model="llama", api_key=KEY, extra={"temperature": 0})
    assert made == await shown(account)
    assert {name: made[name] for name in NONE if name != "changed_at"} == {
        "provider": "groq",
        "model": "llama",
        "base_url": None,
        "extra": {"temperature": 0},
        "last_four": KEY[-4:],
    }
    assert made["changed_at"].endswith("+00:00") and KEY not in str(made)
    short = await change(account, provider="openai", model="m", api_key="sk-1234")
    assert short["last_four"] is None


async def test_requests_without_a_model_use_it(kim: Account) -> None:
    """Answers and facts alike, with its key, model and extra; a request's own goes before it."""
    turns = [{"role": "user", "content": "I moved to Oslo."}]
    async with scripted() as provider:
        await change(kim, **stored(provider, extra={"temperature": 0}))
        assert (await ask(kim)).json()["answer_with_citations"] == "Kim lives in Oslo. [mem-1]"
        request = provider.requests[-1]
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert (request.body["model"], request.body["temperature"]) == ("m-1", 0)
        provider.script(says('{"facts": []}'))
        written = await kim.post("/agent/memories", messages=turns)
        assert (written["extraction"]["provider"], written["extraction"]["model"]) == ("openai", "m-1")
        asked = len(provider.requests)
        async with scripted() as own:
            assert (await ask(kim, llm=stored(own, model="m-2", api_key="sk-own"))).status_code == 200
            assert own.requests[-1].headers["authorization"] == "Bearer sk-own"
        assert (await ask(kim, llm={"provider": "extractive"})).status_code == 200
        assert len(provider.requests) == asked


async def test_it_goes_before_the_servers_default(kim: Account, dsn: str) -> None:
    """Request, account, server, none at all: in this order. `extractive` is an account's way to use no model."""
    async with scripted() as servers, scripted() as accounts:
        default = {
            "AURRA_LLM_PROVIDER": "openai",
            "AURRA_LLM_MODEL": "servers",
            "AURRA_LLM_API_KEY": "sk-servers",
            "AURRA_LLM_BASE_URL": servers.base_url,
            "AURRA_LLM_ALLOWED_NETWORKS": "127.0.0.0/8",
            "AURRA_SECRET_KEYS": sealing.new_key(),
        }
        async with another_service(dsn, kim, **default) as there:
            await ask(there)
            await change(there, **stored(accounts))
            await ask(there)
            assert (len(servers.requests), len(accounts.requests)) == (1, 1)
            await change(there, provider="extractive")
            assert (await ask(there)).json()["grounded"] is True
            assert (len(servers.requests), len(accounts.requests)) == (1, 1)
            await there.client.delete(PATH)
            await ask(there)
            assert (len(servers.requests), len(accounts.requests)) == (2, 1)


async def test_a_delete_forgets_it(kim: Account, dsn: str) -> None:
    """Afterwards all is null and no row is left; deleting nothing is no error."""
    async with scripted() as provider:
        await change(kim, **stored(provider))
        for _ in range(2):
            deleted = await kim.client.delete(PATH)
            assert deleted.status_code == 200 and deleted.json() == {"warnings": [], **NONE}
        assert (await ask(kim)).json()["refused"] is False
        assert provider.requests == []
    async with connected(dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM provider WHERE company_id = $1", kim.row.id) == 0


# A key is bound to its address


async def test_the_key_stays_while_its_address_does(kim: Account) -> None:
    """Model and extra change without it; absent fields stay, and the same provider or base_url is no other."""
    async with scripted() as provider:
        before = await change(kim, **stored(provider))
        after = await change(kim, model="m-2")
        assert (after["model"], after["last_four"], after["base_url"]) == ("m-2", KEY[-4:], before["base_url"])
        await change(kim, extra={"temperature": 0}, base_url=provider.base_url, provider="openai")
        assert (await ask(kim)).status_code == 200
        request = provider.requests[-1]
        assert request.headers["authorization"] == f"Bearer {KEY}" and request.body["model"] == "m-2"
        assert (await change(kim, extra=None))["extra"] is None


async def test_another_address_needs_the_key_again(kim: Account) -> None:
    """Whoever may change the settings cannot have the key sent to a server of his: 400, and nothing has changed."""
    async with scripted() as provider, scripted() as thief:
        before = await change(kim, **stored(provider))
        for fields in (
            {"base_url": thief.base_url},
            {"base_url": f"{provider.base_url}/"},
            {"base_url": None},
            {"provider": "xai", "model": "m"},
            {"provider": "azure", "model": "m", "base_url": thief.base_url},
            {"provider": "anthropic", "model": "m", "base_url": thief.root},
        ):
            said = await refused(kim, **fields)
            assert said["code"] == "bad_provider" and "api_key" in said["detail"]
        assert await shown(kim) == before
        await change(kim, provider="openai_compatible", model="m", base_url=thief.base_url)
        assert (await ask(kim)).status_code == 200
        assert "authorization" not in thief.requests[-1].headers
        assert (await shown(kim))["last_four"] is None


async def test_another_provider_begins_anew(account: Account) -> None:
    """Nothing of the old one is taken for it: base_url, model, extra."""
    await change(
        account, provider="azure", model="m", api_key=KEY, base_url="https://a.example/v1", extra={"temperature": 1}
    )
    assert (await refused(account, provider="groq", api_key=KEY))["param"] == "model"
    after = await change(account, provider="groq", model="g", api_key="gsk-0123456789")
    assert (after["base_url"], after["extra"], after["last_four"]) == (None, None, "6789")


async def test_null_removes_the_key(account: Account) -> None:
    """Where the provider needs none; where it needs one it is 400."""
    await change(account, provider="vllm", model="m", api_key=KEY, base_url="http://vllm.example/v1")
    assert (await change(account, api_key=None))["last_four"] is None
    await change(account, provider="openai", model="m", api_key=KEY)
    assert "needs a key" in (await refused(account, api_key=None))["detail"]


@pytest.mark.parametrize(
    ("fields", "param", "sentence"),
    [
        ({}, "provider", "No model is set"),
        ({"model": "m"}, "provider", "No model is set"),
        ({"provider": "oracle", "model": "m"}, "provider", "none of"),
        ({"provider": "openai", "model": "m"}, "provider", "send `api_key`"),
        ({"provider": "ollama"}, "model", "send `model`"),
        ({"provider": "azure", "model": "m", "api_key": KEY}, "provider", "send `base_url`"),
        ({"provider": "vllm", "model": "m", "base_url": "file:///etc/passwd"}, "base_url", "http://"),
        ({"provider": "vllm", "model": "m", "base_url": f"http://u:{KEY}@h/"}, "base_url", "must not hold"),
        ({"provider": "vllm", "model": "m", "base_url": "http://１２７.0.0.1/"}, "base_url", "not an address"),
        ({"provider": "openai", "model": "m", "api_key": f"{KEY}\n"}, "api_key", "copied whole"),
        ({"provider": "openai", "model": "m", "api_key": "x" * 5000}, "api_key", "too long"),
        ({"provider": "vllm", "model": "m", "extra": {"messages": []}}, "extra", "`messages`"),
        ({"provider": "vllm", "model": "m", "extra": {"a": "x" * 20_000}}, "extra", "over"),
        ({"provider": "vllm", "model": "m" * 3000}, "model", "bytes long"),
        ({"provider": "extractive", "model": "m"}, "provider", "nothing else"),
        ({"provider": "openai", "model": "m", "api_key": KEY, "url": "x"}, "url", "url"),
    ],
)
async def test_what_cannot_be_is_400_naming_the_field(
    account: Account, fields: dict[str, Any], param: str, sentence: str
) -> None:
    """And nothing is stored."""
    said = await refused(account, **fields)
    assert said["param"] == param and sentence in said["detail"] and KEY not in str(said)
    assert await shown(account) == {"warnings": [], **NONE}


async def test_changes_at_once_lose_none(account: Account, dsn: str) -> None:
    """They go one after the other, each upon what the one before left."""
    await change(account, provider="openai", model="m", api_key=KEY)
    async with connected(dsn) as connection, connected(dsn) as watching, connection.transaction():
        await connection.execute(f"SELECT 1 FROM provider WHERE company_id = '{account.row.id}' FOR UPDATE")
        changes = [asyncio.create_task(change(account, **fields)) for fields in ({"model": "m-2"}, {"extra": {"a": 1}})]
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%provider%'"
        # One waits in the database, the other in the service for its turn.
        while not await watching.fetchval(blocked):
            assert not any(task.done() for task in changes)
    await asyncio.gather(*changes)
    made = await shown(account)
    assert (made["model"], made["extra"], made["last_four"]) == ("m-2", {"a": 1}, KEY[-4:])


# Whose it is


async def test_only_keys_that_manage_keys_may(account: Account, make_account: MakeAccount) -> None:
    """Scope `keys:manage`, and of the whole account: whoever sets the model reads all that is asked and told in it."""
    await change(account, provider="openai", model="m", api_key=KEY)
    before = await shown(account)
    others = [
        await make_account(of=account.row, scopes="memories:read,memories:write,query,usage:read"),
        await make_account(of=account.row, tenant_id="acme"),
    ]
    for other in others:
        for method, body in (("GET", None), ("PATCH", {"model": "mine"}), ("DELETE", None)):
            said = problem(await other.client.request(method, PATH, json=body), 403)
            assert said["code"] == "insufficient_scope" and "openai" not in str(said)
    assert await shown(account) == before


async def test_another_account_has_another(kim: Account, make_account: MakeAccount) -> None:
    """Neither shown nor used nor changed."""
    other = await make_account()
    async with scripted() as provider:
        await change(kim, **stored(provider))
        assert await shown(other) == {"warnings": [], **NONE}
        await other.add("Kim lives in Oslo")
        assert (await ask(other)).status_code == 200
        assert provider.requests == []
        await other.client.delete(PATH)
        assert (await shown(kim))["provider"] == "openai"


async def test_the_table_shows_an_account_its_own_row(account: Account, make_account: MakeAccount, dsn: str) -> None:
    """Row-level security alone, without any WHERE: none without an account, and no other's."""
    other = await make_account()
    for one in (account, other):
        await change(one, provider="ollama", model="m")
    async with connected(dsn) as connection:
        await connection.execute("SET ROLE aurra_app")
        assert await connection.fetchval("SELECT count(*) FROM provider") == 0
        await connection.execute(f"SET aurra.company_id = '{account.row.id}'")
        rows = await connection.fetch("SELECT company_id FROM provider")
    assert [row["company_id"] for row in rows] == [account.row.id]


async def test_a_tenants_key_uses_the_accounts_model(account: Account, make_account: MakeAccount) -> None:
    """It may use what it may not see."""
    pinned = await make_account(of=account.row, tenant_id="acme")
    await pinned.add("Kim lives in Oslo")
    async with scripted() as provider:
        await change(account, **stored(provider))
        assert (await ask(pinned)).status_code == 200
        assert len(provider.requests) == 1


# Keys that cannot be opened


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE provider SET sealed_key = (SELECT sealed_key FROM provider WHERE company_id = '{other}')",
        "UPDATE provider SET base_url = 'http://127.0.0.1:9/v1'",
        "UPDATE provider SET provider = 'openai_compatible'",
        "UPDATE provider SET sealed_by = '00000000'",
        "UPDATE provider SET sealed_key = ''",
    ],
    ids=["another_accounts", "another_address", "another_provider", "another_secret", "emptied"],
)
async def test_a_key_that_was_moved_or_altered_is_one_clear_error(
    kim: Account, make_account: MakeAccount, dsn: str, service: Service, tampering: str
) -> None:
    """Whoever can write the table cannot use a key elsewhere: 503 that says what to do, and nothing is sent."""
    other = await make_account()
    async with scripted() as provider:
        await change(other, **stored(provider, api_key="sk-of-the-other-account"))
        await change(kim, **stored(provider))
        statement = tampering.format(other=other.row.id) + f" WHERE company_id = '{kim.row.id}'"
        await execute(dsn, f"SET SESSION AUTHORIZATION DEFAULT; SET ROLE NONE; {statement}")
        service.stored_models.forget(kim.row.id)
        require_unreadable(await ask(kim))
        require_unreadable(await kim.client.patch(PATH, json={"model": "m-2"}))
        assert (await shown(kim))["last_four"] == KEY[-4:]
        assert provider.requests == []
        await change(kim, **stored(provider))
        assert (await ask(kim)).status_code == 200


async def test_another_installations_secret_does_not_open_it(kim: Account, dsn: str) -> None:
    """A restored database without its secret keys: reads and extractive answers go on, the model is a clear error."""
    async with scripted() as provider:
        await change(kim, **stored(provider))
        wrong = {"AURRA_SECRET_KEYS": sealing.new_key(), "AURRA_LLM_ALLOWED_NETWORKS": "127.0.0.0/8"}
        async with another_service(dsn, kim, **wrong) as there:
            require_unreadable(await ask(there))
            assert (await ask(there, llm={"provider": "extractive"})).status_code == 200
            assert await there.decisions() == ["Kim lives in Oslo"]
        assert provider.requests == []


async def test_what_is_stored_as_it_is_said_waits_for_no_model(kim: Account, dsn: str) -> None:
    """Where the stored key cannot be opened, nobody judges what a new memory supersedes, and it is stored, as where the
    model fails; what facts are to be made of is not."""
    turns = [{"role": "user", "content": "I live in Rome now."}]
    async with scripted() as provider:
        await change(kim, **stored(provider))
        async with another_service(dsn, kim, AURRA_SECRET_KEYS=sealing.new_key()) as there:
            made = await there.post("/agent/memories", content="Kim lives in Rome", auto_supersede=True)
            report = made["auto_supersede"]
            assert (made["status"], report["ran"], report["skipped_reason"]) == (
                "saved",
                False,
                "classifier_unavailable",
            )
            said = {"messages": turns, "auto_supersede": True}
            assert (await there.post("/agent/memories", **said, extraction="verbatim"))["status"] == "saved"
            require_unreadable(await there.client.post("/agent/memories", json=said))
        assert provider.requests == []


async def test_without_a_secret_no_key_is_taken(account: Account, dsn: str) -> None:
    """With DATABASE_URL and no AURRA_SECRET_KEYS: 400 with the command that makes one; what needs no key is stored."""
    async with another_service(dsn, account, DATABASE_URL=dsn) as there:
        said = await refused(there, provider="openai", model="m", api_key=KEY)
        assert said["code"] == "no_secret_key" and "aurra secrets new" in said["detail"]
        assert (await change(there, provider="ollama", model="m"))["provider"] == "ollama"


# The secret keys


def test_the_embedded_database_has_a_key_file(tmp_path: Path) -> None:
    """Made once, when it is first needed, for its owner alone; every process then uses that one."""
    settings = read_settings({"AURRA_HOME": str(tmp_path / "home")})
    first, second = SecretKeys(settings), SecretKeys(settings)
    assert first.find() is None
    ring = first.get()
    file = tmp_path / "home" / "secret-keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(base64.b64decode(file.read_text())) == 32
    assert [path.name for path in file.parent.iterdir()] == ["secret-keys"]
    sealed = ring.seal("secret", b"x")
    assert second.get().open(sealed, b"x") == SecretKeys(settings).get().open(sealed, b"x") == "secret"


def test_a_key_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """It is never replaced: what it sealed would be lost."""
    settings = read_settings({"AURRA_HOME": str(tmp_path)})
    (tmp_path / "secret-keys").write_text("nonsense")
    with pytest.raises(CannotStart, match="secret-keys must hold keys"):
        SecretKeys(settings)
    (tmp_path / "secret-keys").write_bytes(b"\xff")
    with pytest.raises(CannotStart, match="cannot be read"):
        SecretKeys(settings)


def test_a_home_that_cannot_be_written_is_no_crash(tmp_path: Path) -> None:
    """503: the operator's disk, not the caller's mistake."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises((Unavailable, CannotStart)):
        SecretKeys(read_settings({"AURRA_HOME": str(tmp_path / "home")})).get()


def test_with_a_database_of_its_own_there_is_no_file(tmp_path: Path, dsn: str) -> None:
    """Several machines may serve it; a file would be one machine's."""
    secrets = SecretKeys(read_settings({"AURRA_HOME": str(tmp_path), "DATABASE_URL": dsn}))
    with pytest.raises(BadRequest, match="aurra secrets new"):
        secrets.get()
    assert list(tmp_path.iterdir()) == []


def test_settings_do_not_show_what_is_secret() -> None:
    """A traceback or a log of the settings holds no key, and no password of the database."""
    secret = sealing.new_key()
    settings = read_settings(
        {"AURRA_SECRET_KEYS": secret, "AURRA_LLM_API_KEY": KEY, "DATABASE_URL": "postgresql://u:hunter2@h/d"}
    )
    assert not any(hidden in repr(settings) for hidden in (secret, KEY, "hunter2"))
    assert "aurra_llm_provider='extractive'" in repr(settings)


# The whole service, as a process


@pytest.fixture
def process(dsn: str, service: Service, tmp_path: Path) -> Any:
    """A process on the tests' database that logs all it can; `secrets` are the settings' two keys."""
    assert service
    keys = ",".join([sealing.new_key(), sealing.new_key()])
    with running(
        tmp_path / "log",
        database_url=dsn,
        aurra_embedder="none",
        aurra_secret_keys=keys,
        aurra_log_level="debug",
        aurra_llm_allowed_networks="127.0.0.0/8",
        aurra_llm_budget_seconds="1",
    ) as started:
        yield started
        assert started.stop() == 0


@pytest.fixture
async def there(process: Running, kim: Account) -> AsyncIterator[Account]:
    """The account at that process, over real sockets."""
    async with httpx2.AsyncClient(base_url=process.url, headers=kim.client.headers, timeout=30) as client:
        yield Account(kim.row, kim.key, client)


async def test_the_key_is_found_nowhere(there: Account, process: Running, dsn: str) -> None:
    """T9: neither in a dump, nor in the log of the process at its most talkative, nor in the answer of any error."""
    said: list[str] = []

    async def send(method: str, path: str, **options: Any) -> None:
        response = await there.client.request(method, path, **options)
        said.append(response.text + str(response.headers))
        assert response.status_code != 500

    async with scripted() as provider:
        body = stored(provider)
        await send("PATCH", PATH, json=body)
        await send("GET", PATH)
        await send("GET", "/openapi.json")
        faults = [answers(), *(status(code) for code in (400, 401, 404, 429, 500)), cuts_short(), resets(), hangs()]
        faults.append(status(307, {"Location": f"{provider.base_url}/{KEY}"}))
        for fault in faults:
            provider.always(fault)
            await send("POST", "/agent/query", json={"question": "Where does Kim live?"})
            await send("POST", "/agent/query", json={"question": "Where does Kim live?", "llm": stored(provider)})
            await send("POST", "/agent/memories", json={"messages": [{"role": "user", "content": "I moved."}]})
        for wrong in (
            {**body, "api_key": [KEY]},
            {**body, "api_key": {"key": KEY}},
            {**body, "api_key": KEY + "\u0000"},
            {**body, "api_key": KEY * 500},
            {**body, "api_key": KEY + "é"},
            {**body, "key": KEY},
            {**body, "provider": KEY},
            {**body, "base_url": f"http://{KEY}@h/"},
            {**body, "base_url": f"http://h/?{KEY}"},
            {**body, "model": 7},
        ):
            await send("PATCH", PATH, json=wrong)
            await send("POST", "/agent/query", json={"question": "Where does Kim live?", "llm": wrong})
        await send(
            "PATCH", PATH, content=b'{"api_key": "%s"' % KEY.encode(), headers={"Content-Type": "application/json"}
        )
        await send("PATCH", PATH, content=b'{"api_key": "%s"}' % KEY.encode(), headers={"Content-Type": "text/plain"})
    dump = subprocess.run([find_binaries() / "pg_dump", "--data-only", dsn], capture_output=True, text=True, check=True)
    secrets = process.environment["AURRA_SECRET_KEYS"].split(",")
    assert "Kim lives in Oslo" in dump.stdout and "m-1" in dump.stdout
    for secret in (KEY, *secrets):
        raw = base64.b64decode(secret) if secret != KEY else secret.encode()
        for form in (secret, raw.hex(), base64.b64encode(raw).decode()):
            assert form not in dump.stdout
            assert form not in process.log.read_text()
            assert not any(form in one for one in said)


async def test_secrets_are_rewrapped_and_the_doctor_tells(
    kim: Account, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sealed with the first key; afterwards the old one may go. What cannot be opened is named, and stays."""
    old, new = sealing.new_key(), sealing.new_key()

    async def told(run: Any, *keys: str) -> str:
        settings = {"DATABASE_URL": dsn, "AURRA_EMBEDDER": "none", "AURRA_SECRET_KEYS": ",".join(keys)}
        await run(read_settings(settings))
        said = capsys.readouterr().out
        assert not any(key in said for key in keys) and KEY not in said
        return said

    def opens(key: str) -> str:
        by = sealing.key_id(base64.b64decode(key))
        return f"ok   account {kim.row.name}: the stored key of its model opens with {by}"

    fails = f"FAIL account {kim.row.name}: the stored key of its model cannot be opened"
    async with scripted() as provider:
        networks = {"AURRA_LLM_ALLOWED_NETWORKS": "127.0.0.0/8"}
        async with another_service(dsn, kim, AURRA_SECRET_KEYS=old, **networks) as there:
            await change(there, **stored(provider))
        assert opens(old) in await told(examining.examine, new, old)
        assert fails in await told(examining.rewrap, new)
        assert fails in await told(examining.examine)
        assert fails not in await told(examining.rewrap, new, old)
        assert opens(new) in await told(examining.examine, new)
        async with another_service(dsn, kim, AURRA_SECRET_KEYS=new, **networks) as there:
            assert (await ask(there)).status_code == 200
            assert provider.requests[-1].headers["authorization"] == f"Bearer {KEY}"
        with pytest.raises(CannotStart, match="There is no secret key"):
            await told(examining.rewrap)


async def test_the_commands_of_secrets(process: Running) -> None:
    """`secrets new` prints a key that can be used; `secrets rewrap` says how many it sealed anew, and none twice."""
    new = process.command("secrets", "new").strip()
    assert len(base64.b64decode(new)) == sealing.KEY_BYTES
    environment = {**process.environment, "AURRA_SECRET_KEYS": new}
    done = subprocess.run(
        [sys.executable, "-m", "aurra.main", "secrets", "rewrap"], env=environment, capture_output=True, text=True
    )
    assert "0 stored keys are sealed with" in done.stdout and done.stderr == ""
    # Other tests' accounts in this database have keys whose secrets are gone.
    assert done.returncode == ("FAIL" in done.stdout)


def test_secret_keys_that_cannot_be_used_stop_the_start() -> None:
    """One sentence that names the variable and does not repeat it."""
    environment = {**os.environ, "AURRA_SECRET_KEYS": "not-a-key-4711"}
    done = subprocess.run(
        [sys.executable, "-m", "aurra.main", "secrets", "rewrap"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1 and "AURRA_SECRET_KEYS must hold keys" in done.stderr and "4711" not in done.stderr
