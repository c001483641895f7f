"""`aurra plan status` as a check, and what other systems run it by: the GitHub action and the pre-commit hook."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import yaml

from aurra.faces.commands import gate
from tests.conftest import Account, MakeAccount
from tests.faces.commanding import command, run
from tests.faces.test_commands import fill, of
from tests.running import free_port

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "plan-status" / "action.yml"
STATUS: dict[str, Any] = {
    **{"writes_used": 950, "writes_limit": 1000, "writes_remaining": 50, "in_grace_period": False, "blocked": False},
    **{"grace_ends_at": None},
}


def code(status: dict[str, Any], **asked: Any) -> int:
    """The exit code of a verdict."""
    terms: dict[str, Any] = {"min_remaining": None, "max_used_percent": None, "fail_on_grace": False, **asked}
    return gate.code_of(gate.judge({**STATUS, **status}, **terms))


@pytest.mark.parametrize(
    ("status", "asked", "expected"),
    [
        ({}, {}, 0),
        ({}, {"min_remaining": 50}, 0),
        ({}, {"min_remaining": 51}, 3),
        ({}, {"max_used_percent": 95.0}, 0),
        ({}, {"max_used_percent": 94.9}, 3),
        ({"in_grace_period": True}, {}, 0),
        ({"in_grace_period": True}, {"fail_on_grace": True}, 3),
        ({"blocked": True}, {}, 4),
        ({"blocked": True}, {"min_remaining": 51}, 4),
        ({"writes_used": 0, "writes_limit": 0}, {"max_used_percent": 99.0}, 3),
    ],
)
def test_the_verdict(status: dict[str, Any], asked: dict[str, Any], expected: int) -> None:
    """A threshold is kept at its own value; blocked comes before a threshold; a limit of nothing is used up."""
    assert code(status, **asked) == expected


async def test_text_json_and_junit(make_account: MakeAccount, url: str) -> None:
    """For people, for programs, for CI systems; each with the exit code of the verdict."""
    account = await make_account("free")
    await account.add("one")
    env = of(account, url)
    ok = await command("plan", "status", "--min-remaining", "999", "--max-used-percent", "1", **env)
    assert ok.code == 0 and "writes_used: 1\n" in ok.out and "ok   min-remaining: 999 writes remain" in ok.out
    bad = await command("plan", "status", "--min-remaining", "1000", **env)
    assert bad.code == 3 and "FAIL min-remaining: 999 writes remain; at least 1,000 are wanted\n" in bad.out
    answer = await command("plan", "status", "--min-remaining", "1000", "--json", **env)
    assert answer.code == 3 and answer.json == await account.get("/plan/status")
    told = await command("plan", "status", "--min-remaining", "1000", "--fail-on-grace", "--format", "json", **env)
    assert told.code == 3 and told.json["ok"] is False and told.json["status"]["writes_used"] == 1
    assert [(check["name"], check["ok"]) for check in told.json["checks"]] == [
        ("blocked", True),
        ("grace", True),
        ("min-remaining", False),
    ]
    report = await command("plan", "status", "--min-remaining", "1000", "--format", "junit", **env)
    (suite,) = ElementTree.fromstring(report.out.encode())
    assert (report.code, suite.attrib["tests"], suite.attrib["failures"]) == (3, "2", "1")
    (failure,) = suite.iter("failure")
    assert "at least 1,000" in failure.attrib["message"]


async def test_grace_and_blocked(make_account: MakeAccount, url: str) -> None:
    """In the grace period 3 where that is asked; blocked is 4 whatever is asked, at the past by what held then."""
    account = await make_account("free")
    await fill(account)
    blocked = await command("plan", "status", "--fail-on-grace", "--format", "github", **of(account, url))
    assert blocked.code == 4
    assert "::error title=Aurra plan%3A blocked::writes are blocked\n" in blocked.out
    assert "aurra: " not in blocked.err
    graced = await make_account("free")
    facts = [{"content": f"fact {number}"} for number in range(1000)]
    for half in (facts[:500], facts[500:]):
        await graced.post("/agent/memories/bulk", memories=half)
    assert (await command("plan", "status", **of(graced, url))).code == 0
    assert (await command("plan", "status", "--fail-on-grace", **of(graced, url))).code == 3


async def test_github_gets_annotations_a_summary_and_outputs(account: Account, url: str, tmp_path: Path) -> None:
    """Appended to the files that the runner names; a refused key is an annotation as well."""
    (tmp_path / "out").write_text("before=1\n")
    env = {**of(account, url), "GITHUB_OUTPUT": f"{tmp_path}/out", "GITHUB_STEP_SUMMARY": f"{tmp_path}/summary"}
    done = await command("plan", "status", "--format", "github", "--min-remaining", "1", **env)
    assert done.code == 0 and done.out.startswith("::notice title=Aurra plan::writes are not blocked; ")
    outputs = dict(line.split("=") for line in (tmp_path / "out").read_text().splitlines())
    assert outputs["before"] == "1" and (outputs["writes-used"], outputs["blocked"]) == ("0", "false")
    assert "| ✅ | min-remaining |" in (tmp_path / "summary").read_text()
    refused = await command("plan", "status", "--format", "github", **{**env, "AURRA_API_KEY": "aurra_live_x"})
    assert refused.code == 5 and refused.out.startswith("::error title=Aurra plan%3A asked::This is not an Aurra key")
    away = {"AURRA_BASE_URL": f"http://127.0.0.1:{free_port()}", "AURRA_API_KEY": "aurra_live_x"}
    junit = await command("plan", "status", "--format", "junit", **away)
    (failure,) = ElementTree.fromstring(junit.out.encode()).iter("failure")
    assert junit.code == 6 and "cannot be reached" in failure.attrib["message"]
    assert (await command("plan", "status", "--format", "json", **away)).json["status"] is None


def test_wrong_thresholds_are_wrong_use() -> None:
    """Exit code 2."""
    for words in (("--min-remaining", "-1"), ("--max-used-percent", "much"), ("--format", "xml")):
        assert run("plan", "status", *words).code == 2


def _installed(temporary: Path) -> Path:
    """A runner's directory in which the action finds its environment made: this one."""
    (temporary / "aurra").mkdir()
    (temporary / "aurra" / "bin").symlink_to(Path(sys.executable).parent)
    (temporary / "aurra" / ".run").touch()
    return temporary


def _step(step: dict[str, Any], inputs: dict[str, str], environment: dict[str, str]) -> "subprocess.Popen[str]":
    """A step of the action, as a runner starts it: expressions filled in, the shell with its flags."""
    assert step["shell"] == "bash"

    def filled(text: str) -> str:
        return re.sub(r"\${{ inputs\.([\w-]+) }}", lambda match: inputs[match[1]], text)

    given = {name: filled(value) for name, value in step.get("env", {}).items()}
    # No expression in the script itself: an input could be a command there.
    assert "${{" not in step["run"]
    return subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={**environment, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def _finished(process: "subprocess.Popen[str]") -> tuple[int, str]:
    out, err = await asyncio.to_thread(process.communicate)
    return process.returncode, out + err


async def test_the_github_action_runs_the_command(account: Account, url: str, tmp_path: Path) -> None:
    """Each step of `action.yml`, with the inputs of a workflow, against a service; outputs are those it promises."""
    action = yaml.safe_load(ACTION.read_text())
    assert action["runs"]["using"] == "composite"
    defaults = {name: one.get("default", "") for name, one in action["inputs"].items()}
    assert set(defaults) == {"url", "key", "min-remaining", "max-used-percent", "fail-on-grace"}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AURRA_")},
        **{"GITHUB_ACTION_PATH": str(ACTION.parent), "RUNNER_TEMP": str(_installed(tmp_path))},
        **{"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")},
    }
    install, look = action["runs"]["steps"]
    assert (await _finished(_step(install, defaults, environment)))[0] == 0
    inputs = {**defaults, "url": url, "key": account.key, "min-remaining": "10", "fail-on-grace": "true"}
    returned, said = await _finished(_step(look, inputs, environment))
    assert returned == 0 and "::notice title=Aurra plan::" in said and "no grace period" in said, said
    outputs = dict(line.split("=") for line in (tmp_path / "out").read_text().splitlines())
    for name, promised in action["outputs"].items():
        assert promised["value"] == f"${{{{ steps.{look['id']}.outputs.{name} }}}}" and name in outputs
    inputs |= {"max-used-percent": "0", "min-remaining": "9007199254740991"}
    await account.add("one")
    returned, said = await _finished(_step(look, inputs, environment))
    assert returned == 3 and "::error title=Aurra plan%3A max-used-percent::" in said, said
    returned, said = await _finished(_step(look, {**inputs, "min-remaining": "; id"}, environment))
    assert returned == 2 and "uid=" not in said


async def test_the_pre_commit_hook_runs_the_command(account: Account, url: str, tmp_path: Path) -> None:
    """Its entry, split as pre-commit splits it, with `args` of somebody's configuration."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["id"] == "aurra-plan" and hook["language"] == "python" and hook["pass_filenames"] is False
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AURRA_")}
    environment |= {**of(account, url), "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}

    def start(*args: str) -> "subprocess.Popen[str]":
        words = [*shlex.split(hook["entry"]), *hook.get("args", []), *args]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=environment, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path)

    returned, said = await _finished(start())
    assert returned == 0 and "plan_tier: enterprise" in said
    returned, said = await _finished(start("--min-remaining", "9007199254740992"))
    assert returned == 3 and "FAIL min-remaining" in said


def test_a_verdict_is_one_line_of_json() -> None:
    """Nothing else on standard output."""
    done = run("plan", "status", "--format", "json", AURRA_BASE_URL=f"http://127.0.0.1:{free_port()}")
    assert list(msgspec.json.decode(done.out)) == ["ok", "checks", "status"]
