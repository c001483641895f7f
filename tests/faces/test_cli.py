"""The operator's commands, as processes, while the service runs and while it does not."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from aurra_sdk import Aurra
from click.testing import CliRunner

from aurra.faces import cli
from tests.plain import execute
from tests.running import Running, aurra, environment_of, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service on an embedded database of its own."""
    home = tmp_path_factory.mktemp("cli")
    with running(home / "log", aurra_home=home / "home", aurra_embedder="none") as started:
        yield started
        assert started.stop() == 0


def failure(service: Running, *arguments: str) -> str:
    """What a command that must fail says."""
    done = subprocess.run(
        [sys.executable, "-m", "aurra.main", *arguments], env=service.environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def status(service: Running, key: str, path: str = "/plan/status") -> httpx2.Response:
    return httpx2.get(f"{service.url}{path}", headers={"Authorization": f"Bearer {key}"})


def test_an_account_and_a_key_made_while_the_service_runs_work_at_once(service: Running) -> None:
    """`accounts create`, `keys create --json`: the key opens the account it names, on the plan it was given."""
    assert "acme" in service.command("accounts", "create", "acme", "--plan", "starter")
    assert "acme starter" in service.command("accounts", "list")
    made = msgspec.json.decode(service.command("keys", "create", "--account", "acme", "--json"))
    assert set(made) == {"key", "id", "account"} and made["account"] == "acme"
    assert status(service, made["key"]).json()["plan_tier"] == "starter"
    assert f"{made['id']} acme …{made['key'][-4:]}" in service.command("keys", "list")
    assert made["key"] not in service.command("keys", "list")


def test_a_key_that_signs_and_one_with_a_ceiling(service: Running) -> None:
    """`keys create --signed` prints the signing secret under the key; `--up-to` makes one that only reads."""
    service.command("accounts", "create", "signing")
    key, secret = service.command("keys", "create", "--account", "signing", "--signed").split()
    assert secret.startswith("aurra_sign_") and secret not in service.command("keys", "list")
    with Aurra(key, signing_secret=secret, base_url=service.url) as client:
        assert client.memories.add(content="Kim lives in Oslo").transaction.id == 1
    assert status(service, key).json()["code"] == "signature_required"
    made = msgspec.json.decode(service.command("keys", "create", "--account", "signing", "--signed", "--json"))
    assert set(made) == {"key", "id", "account", "signing_secret"}
    before = service.command("keys", "create", "--account", "signing", "--up-to", "0").strip()
    assert status(service, before, "/agent/memories").json()["memories"] == []
    assert status(service, before).json()["code"] == "key_has_ceiling"


def test_a_plan_takes_effect_with_the_next_request(service: Running) -> None:
    """`accounts plan NAME PLAN`."""
    service.command("accounts", "create", "mover", "--plan", "free")
    key = service.command("keys", "create", "--account", "mover").strip()
    assert status(service, key).json()["writes_limit"] == 1000
    service.command("accounts", "plan", "mover", "pro")
    assert status(service, key).json()["writes_limit"] == 500_000


def inside(service: Running, *arguments: str) -> str:
    """What a command prints, run in this process: a process for each of many would take long."""
    done = CliRunner().invoke(cli.main, arguments, env=service.environment)
    assert done.exit_code == 0 or done.stderr.startswith("aurra: "), done.output
    return done.output


def test_plans_are_the_operators_own(service: Running) -> None:
    """`plans set`, `list`, `remove`: what is not given stays; unlimited and none are words; a plan in use stays."""
    said = inside(service, "plans", "set", "team", "--writes", "70", "--key-rpm", "5")
    assert said == "team writes=70 key-rpm=5 account-rpm=none accounts=0\n"
    inside(service, "accounts", "create", "teamed", "--plan", "team")
    key = inside(service, "keys", "create", "--account", "teamed").strip()
    said = inside(service, "plans", "set", "team", "--writes", "unlimited", "--key-rpm", "none")
    assert said == "team writes=unlimited key-rpm=none account-rpm=none accounts=1\n"
    assert status(service, key).json()["writes_limit"] == 9007199254740991
    changes = status(service, key, "/plan/history").json()["changes"]
    assert [(one["cause"], one["writes_limit"]) for one in changes] == [
        ("redefined", 9007199254740991),
        ("created", 70),
    ]
    assert "free writes=1000 key-rpm=100 account-rpm=1000" in inside(service, "plans", "list")
    assert "1 accounts are on the plan 'team'" in inside(service, "plans", "remove", "team")
    inside(service, "accounts", "plan", "teamed", "free")
    assert inside(service, "plans", "remove", "team") == "the plan team is gone\n"


def test_a_revoked_key_is_refused_within_five_seconds(service: Running) -> None:
    """`keys revoke ID`: 401 with its own code, on every process; an unknown id is an error."""
    service.command("accounts", "create", "revoked")
    made = msgspec.json.decode(service.command("keys", "create", "--account", "revoked", "--json"))
    assert status(service, made["key"]).status_code == 200
    assert "is revoked" in service.command("keys", "revoke", made["id"])
    deadline = time.monotonic() + 5
    while (answer := status(service, made["key"])).status_code == 200:
        assert time.monotonic() < deadline, "still accepted after five seconds"
        time.sleep(0.1)
    assert answer.json()["code"] == "revoked_key"
    assert "revoked" in service.command("keys", "list")
    assert "no key 'nothing'" in failure(service, "keys", "revoke", "nothing")


def test_a_key_has_the_limits_that_its_options_say(service: Running) -> None:
    """Name, tenant, end, networks: `keys list` shows them, the service keeps them, so does `keys rotate`."""
    service.command("accounts", "create", "limits")
    options = ("--name", "night shift", "--tenant", "acme", "--trust", "low", "--network", "127.0.0.1")
    more = ("--expires-in", "90d", "--scopes", "usage:read,keys:manage", "--json")
    made = msgspec.json.decode(service.command("keys", "create", "--account", "limits", *options, *more))
    shown = status(service, made["key"], f"/api-keys/{made['id']}").json()["api_key"]
    told = {name: shown[name] for name in ("name", "tenant_id", "trust", "networks", "created_by", "state")}
    assert told == {
        **{"name": "night shift", "tenant_id": "acme", "trust": "low", "networks": ["127.0.0.1/32"]},
        **{"created_by": "operator", "state": "active"},
    }
    (line,) = [line for line in service.command("keys", "list").splitlines() if line.startswith(made["id"])]
    limits = "name='night shift' tenant='acme' trust=low networks=127.0.0.1/32 expires="
    assert f"usage:read,keys:manage active {limits}{shown['expires_at'][:16]}Z" in line
    new = msgspec.json.decode(service.command("keys", "rotate", made["id"], "--overlap-hours", "1", "--json"))
    assert new["id"] == made["id"]
    assert [status(service, key).status_code for key in (made["key"], new["key"])] == [200, 200]


def test_scopes_limit_what_a_key_may(service: Running) -> None:
    """A read-only key reads and does not write; the refusal names the scope."""
    service.command("accounts", "create", "scoped")
    key = service.command("keys", "create", "--account", "scoped", "--scopes", "read_only").strip()
    assert status(service, key, "/agent/memories").status_code == 200
    refused = httpx2.post(
        f"{service.url}/agent/memories", json={"content": "x"}, headers={"Authorization": f"Bearer {key}"}
    )
    assert refused.status_code == 403 and "memories:write" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("accounts", "create", "dup", "--plan", "gold"), "no plan 'gold': use free, starter, pro, enterprise"),
        (("accounts", "create", " "), "needs a name"),
        (("accounts", "plan", "nobody", "pro"), "no account 'nobody'"),
        (("keys", "create", "--account", "nobody"), "no account 'nobody'"),
        (("keys", "create", "--account", "acme", "--scopes", "fly"), "no scope 'fly'"),
    ],
)
def test_a_command_that_cannot_be_says_why_in_one_sentence(
    service: Running, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 1, no traceback, and what to use instead."""
    assert said in failure(service, *arguments)


def test_names_of_accounts_are_unique(service: Running) -> None:
    """Two commands at once make one account."""
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "aurra.main", "accounts", "create", "twin"],
            env=service.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    assert sorted(command.wait() for command in commands) == [0, 1, 1]
    for command in commands:
        command.communicate()


def test_the_doctor_is_content(service: Running) -> None:
    """Every finding is well, and the counts of each account are among them."""
    found = service.command("doctor")
    assert "FAIL" not in found
    assert "migrations: all applied" in found and "account acme: 0 transactions" in found
    assert "account acme: its history of plans ends with the plan in force, starter" in found


def test_an_external_database_is_served_by_its_url(service: Running, dsn: str, tmp_path: Path) -> None:
    """`DATABASE_URL` in either spelling: migrate, check, an account, serve; a pending migration stops a command."""
    assert service
    base = environment_of(database_url=dsn.replace("postgresql://", "postgres://"))
    name = f"external_{os.getpid()}"
    asyncio.run(execute(dsn, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"))
    url = base["DATABASE_URL"].replace("/aurra?", f"/{name}?")
    environment = environment_of(database_url=url, aurra_embedder="none")
    refused = subprocess.run(
        [sys.executable, "-m", "aurra.main", "accounts", "list"], env=environment, capture_output=True, text=True
    )
    assert refused.returncode == 1 and "run `aurra migrate`" in refused.stderr
    check = subprocess.run(
        [sys.executable, "-m", "aurra.main", "migrate", "--check"], env=environment, capture_output=True, text=True
    )
    assert check.returncode == 1 and "pending 0001_pre_model.sql" in check.stdout
    assert "applied 0001_pre_model.sql" in aurra(("migrate",), environment)
    assert "nothing is pending" in aurra(("migrate", "--check"), environment)
    aurra(("accounts", "create", "far"), environment)
    key = aurra(("keys", "create", "--account", "far"), environment).strip()
    with running(tmp_path / "log", database_url=url, aurra_embedder="none") as far:
        assert status(far, key).status_code == 200
        assert far.stop() == 0
    asyncio.run(execute(dsn, f"DROP DATABASE {name}"))


def test_a_port_in_use_is_one_sentence(service: Running) -> None:
    """Nothing is started when the port is taken."""
    assert "Cannot listen on 127.0.0.1" in failure(service, "serve")


def test_a_setting_that_cannot_be_used_is_one_sentence(service: Running) -> None:
    """The variable is named, with its value."""
    for name, value in (
        ("PORT", "http"),
        ("PORT", "99999"),
        ("DATABASE_URL", "mysql://x"),
        ("AURRA_LOG_LEVEL", "loud"),
    ):
        broken = Running(service.process, service.url, {**service.environment, name: value}, service.log)
        assert f"{name}" in failure(broken, "serve")
