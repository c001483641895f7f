"""Commands without a service: in their own process, as processes, on an embedded database; and how they start."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from tests.running import Running, environment_of, free_port, running

HEAVY = ("numpy", "onnxruntime", "dateparser", "asyncpg", "litestar", "openai", "cryptography", "aurra.ops")
"""What a command against a URL, --help and completion do without."""


def aurra(environment: dict[str, str], *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """An `aurra` process."""
    command = [sys.executable, "-m", "aurra.main", *arguments]
    return subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=110)


def said(environment: dict[str, str], *arguments: str) -> Any:
    """The JSON that a command prints, which must succeed and say nothing besides."""
    done = aurra(environment, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done
    (line,) = done.stdout.splitlines()
    return msgspec.json.decode(line)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a fresh home."""
    return environment_of(aurra_home=tmp_path_factory.mktemp("here") / "home", aurra_embedder="none")


def test_it_works_without_a_key_and_without_a_server(here: dict[str, str]) -> None:
    """The account `default` is made; what one command stores, the next one finds."""
    written = said(here, "remember", "Kim lives in Oslo", "--subject", "kim", "--attribute", "city")
    assert written["status"] == "saved" and written["transaction"]["id"] == 1
    asked = aurra(here, "ask", "Where does Kim live?")
    assert asked.returncode == 0 and "Kim lives in Oslo. [mem-1]" in asked.stdout and asked.stderr == ""
    page = aurra(here, "diff", "0")
    assert page.stdout.startswith("# From transaction 0") and "Kim lives in Oslo" in page.stdout
    refused = aurra(here, "memories", "get", "nothing")
    assert refused.returncode == 1 and "(not_found)" in refused.stderr
    assert aurra(here, "accounts", "list").stdout.split()[1:] == ["default", "enterprise"]


def test_who_has_the_machine_is_a_key_of_the_account(here: dict[str, str]) -> None:
    """Settings stay, keys can be made and changed, and the ledger names one key for all commands."""
    assert said(here, "settings", "update", "--review-queue")["review_queue"] is True
    assert said(here, "settings", "get")["review_queue"] is True
    made = said(here, "api-keys", "create", "full", "--name", "made here")
    keys = {key["name"]: key for key in said(here, "api-keys", "list")["api_keys"]}
    assert set(keys) == {"made here", "this machine"}
    assert keys["made here"]["created_by"] == f"key {keys['this machine']['id']}"
    assert said(here, "api-keys", "update", made["api_key"]["id"], "--trust", "low")["api_key"]["trust"] == "low"
    assert said(here, "api-keys", "rotate", made["api_key"]["id"])["key"] != made["key"]
    assert said(here, "api-keys", "revoke", made["api_key"]["id"])["api_key"]["state"] == "revoked"
    actors = {entry["actor"] for entry in said(here, "transactions", "list")["transactions"]}
    assert actors == {f"key {keys['this machine']['id']}"}


def test_what_is_left_for_later_is_done_before_it_ends(here: dict[str, str]) -> None:
    """Extraction that is accepted for later needs no service that runs."""
    turns = '[{"role": "user", "content": "I work at the harbour. My dog is called Rex."}]'
    added = said(here, "conversations", "add", "call-1", turns, "--extraction", "later")
    assert added["extraction"]["state"] == "pending"
    found = said(here, "conversations", "get", "call-1")["conversation"]
    assert found["pending"] is False and found["memories"] > 0


def test_lines_here(here: dict[str, str], tmp_path: Path) -> None:
    """Again stores nothing twice, as against a service."""
    file = tmp_path / "items.jsonl"
    file.write_text("\n".join(f'{{"content": "line {number}"}}' for number in range(600)))
    assert said(here, "memories", "bulk", "--from-file", str(file))["saved_count"] == 600
    assert said(here, "memories", "bulk", "--from-file", str(file))["replayed_batches"] == 2


def test_it_works_beside_a_service_on_the_same_home(here: dict[str, str], tmp_path: Path) -> None:
    """What is stored here is there at once; a service stays when a command ends."""
    with running(tmp_path / "log", aurra_home=here["AURRA_HOME"], aurra_embedder="none") as service:
        said(here, "remember", "beside a service", "--topic", "beside")
        key = said(here, "api-keys", "create", "read_only")["key"]
        _sees(service, key, "beside a service")
        there = {**here, "AURRA_BASE_URL": service.url, "AURRA_API_KEY": key}
        assert [one["decision"] for one in said(there, "memories", "list", "--topic", "beside")["memories"]] == [
            "beside a service"
        ]
        # A key alone means a service, at the address that the SDK takes as well; --account means here.
        default = aurra({**here, "AURRA_API_KEY": key}, "memories", "list", "--account", "default", "--topic", "beside")
        assert "beside a service" in default.stdout
        assert service.stop() == 0


def _sees(service: Running, key: str, text: str) -> None:
    found = httpx2.get(f"{service.url}/agent/memories?topic=beside", headers={"Authorization": f"Bearer {key}"})
    assert [one["decision"] for one in found.json()["memories"]] == [text]


def test_on_a_terminal_what_destroys_is_asked_about(here: dict[str, str]) -> None:
    """`n` leaves everything as it is; --yes, --dry-run, or no terminal, do not ask."""
    memory_id = said(here, "remember", "to be erased", "--topic", "erased")["memory_id"]
    ours, theirs = os.openpty()
    os.write(ours, b"n\n")
    command = [sys.executable, "-m", "aurra.main", "memories", "erase", memory_id]
    done = subprocess.run(command, env=here, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, timeout=110)
    os.close(theirs)
    asked = os.read(ours, 4096).decode()
    os.close(ours)
    assert done.returncode == 1 and done.stdout == b"" and "Go on? [y/N]" in asked and "Aborted!" in asked
    assert said(here, "memories", "erase", memory_id, "--dry-run")["dry_run"] is True
    assert len(said(here, "memories", "list", "--topic", "erased")["memories"]) == 1
    assert said(here, "memories", "erase", memory_id)["status"] == "erased"


def test_of_several_accounts_one_is_named(here: dict[str, str]) -> None:
    """Exit code 2 says which there are; `--account` chooses."""
    aurra(here, "accounts", "create", "second")
    done = aurra(here, "memories", "list")
    assert done.returncode == 2 and "There are several accounts (default, second): give --account." in done.stderr
    assert said(here, "memories", "list", "--account", "second")["memories"] == []
    done = aurra(here, "memories", "list", "--account", "third")
    assert done.returncode == 2 and "no account 'third': `aurra accounts list`" in done.stderr


def test_a_service_that_cannot_be_opened_is_exit_code_6(tmp_path: Path) -> None:
    """One sentence, with what to do instead."""
    (tmp_path / "file").write_text("")
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    for settings in ({"aurra_home": tmp_path / "file"}, {"database_url": away}):
        done = aurra(environment_of(aurra_embedder="none", **settings), "memories", "list")
        assert (done.returncode, done.stdout) == (6, ""), done
        assert "Traceback" not in done.stderr and "Or give --url and --key" in done.stderr


def imported(environment: dict[str, str], *arguments: str) -> set[str]:
    """The modules that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "aurra.main", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_a_command_against_a_url_imports_no_service(tmp_path: Path) -> None:
    """Nor do --help and completion; the first one of all does, and keeps what it learned until a source changes."""
    environment = environment_of(xdg_cache_home=tmp_path, home=tmp_path)
    url = ("--url", f"http://127.0.0.1:{free_port()}")
    first = imported(environment, "--help")
    assert {"numpy", "aurra.ops"} <= first
    completing = {**environment, "_AURRA_COMPLETE": "bash_complete", "COMP_WORDS": "aurra mem", "COMP_CWORD": "1"}
    for asked, arguments in (
        (environment, ("--help",)),
        (environment, ("remember", "--help")),
        (environment, ("plan", "status", *url)),
        (environment, ("completion", "zsh")),
        (completing, ()),
    ):
        found = imported(asked, *arguments)
        assert "aurra.faces.commands.group" in found and not found & set(HEAVY), (arguments, found & set(HEAVY))
    assert "httpx2" not in imported(environment, "--help")
    (kept,) = (tmp_path / "aurra").iterdir()
    kept.write_text(kept.read_text().replace('"made_from":"', '"made_from":"other'))
    assert "numpy" in imported(environment, "--help")
    kept.write_text("{")
    assert "numpy" in imported(environment, "--help") and msgspec.json.decode(kept.read_bytes())["commands"]


def test_completion_in_a_shell(tmp_path: Path) -> None:
    """`aurra completion SHELL` prints what bash, zsh and fish take; nouns, verbs, options and choices are completed."""
    environment = environment_of(xdg_cache_home=tmp_path)
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    scripts = {shell: aurra(environment, "completion", shell).stdout for shell in ("bash", "zsh", "fish")}
    assert "complete -o nosort -F _aurra_completion aurra" in scripts["bash"]
    assert scripts["zsh"].startswith("#compdef aurra") and "complete --no-files --command aurra" in scripts["fish"]
    for words, expected in (
        (["aurra", "memo"], {"memories"}),
        (["aurra", "ke"], {"keys"}),
        (["aurra", "memories", "er"], {"erase", "erase-matching"}),
        (["aurra", "remember", "x", "--importance", ""], {"low", "medium", "high"}),
        (["aurra", "plan", "status", "--form"], {"--format"}),
        (["aurra", "keys", "cre"], {"create"}),
    ):
        line = f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}"
        script = f'{scripts["bash"]}\n{line}\n_aurra_completion aurra\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
        assert set(done.stdout.split()) == expected, (words, done.stdout, done.stderr)
