"""The story that README tells and `aurra seed` plays: each of its lines is true."""

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aurra.faces.story import BEGINNING, STEPS
from aurra.instants import show
from tests.running import aurra, environment_of, running

README = Path(__file__).parents[2] / "README.md"
LINES = re.findall(r"^\| .+? \| `(subject=\S+)` \| (.+?) \|$", README.read_text("utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A client of a service on which the story was played."""
    home = tmp_path_factory.mktemp("story")
    settings = {"aurra_home": str(home / "home"), "aurra_embedder": "none"}
    printed = aurra(("seed",), environment_of(**settings))
    key = printed.split("AURRA_API_KEY=")[1].strip()
    with running(home / "log", **settings) as service, httpx2.Client(base_url=service.url) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield client


@pytest.mark.parametrize(("query", "decision"), LINES)
def test_the_story_says_what_the_readme_says(story: httpx2.Client, query: str, decision: str) -> None:
    """Each row of README's table, asked as it stands there."""
    memories = story.get(f"/agent/memories?{query}").json()["memories"]
    assert [memory["decision"] for memory in memories] == ([] if decision == "–" else [decision])


def test_the_four_scenarios_are_told() -> None:
    """README has a row for each, both forms of the fourth."""
    assert len(LINES) == 11


def test_every_instant_of_the_story_is_fixed(story: httpx2.Client) -> None:
    """Numbers and instants are those of the steps, on whatever day it is played; the chain verifies."""
    zero = story.get("/agent/memories", params={"transaction_as_of": 0}).json()
    assert zero["transaction"] == {"id": 0, "at": show(BEGINNING)}
    for number, step in enumerate(STEPS, 1):
        read = story.get("/agent/memories", params={"transaction_as_of": number}).json()
        assert read["transaction"] == {"id": number, "at": show(step.at)}
    assert story.get("/agent/transactions/verify").json()["ok"]


def test_it_is_played_once(story: httpx2.Client, tmp_path: Path) -> None:
    """A second time, the account is there already: one sentence."""
    environment = environment_of(aurra_home=str(tmp_path / "home"), aurra_embedder="none")
    aurra(("seed", "--account", "again"), environment)
    with pytest.raises(RuntimeError, match="There is an account 'again' already"):
        aurra(("seed", "--account", "again"), environment)
