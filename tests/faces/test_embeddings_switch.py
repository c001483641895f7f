"""`aurra embeddings`, as processes, while a service serves: search is whole before, during and after a switch."""

import asyncio
import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from aurra.store.embedded import EmbeddedPostgres
from tests.plain import connected
from tests.running import Running, running

MINILM = "all-MiniLM-L6-v2-int8"
WORDLLAMA = "wordllama-l2-supercat@256"
PLACES = ["Oslo", "Rome", "Lima", "Accra", "Hanoi", "Quito", "Cairo", "Perth"]
FACTS = [f"Person {number} keeps a boat in the harbour of {PLACES[number % 8]}" for number in range(120)]
NOTICED_SECONDS = 10


class Caller:
    """One account of the service."""

    def __init__(self, service: Running, name: str) -> None:
        service.command("accounts", "create", name)
        key = service.command("keys", "create", "--account", name).strip()
        self.name = name
        self.url = service.url
        self._headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._json(httpx2.post(self.url + path, json=body, headers=self._headers, timeout=60))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._json(httpx2.get(self.url + path, params=query, headers=self._headers, timeout=60))

    def _json(self, response: httpx2.Response) -> dict[str, Any]:
        assert response.status_code == 200, response.text
        return response.json()

    def store(self, *contents: str) -> None:
        self.post("/agent/memories/bulk", memories=[{"content": content} for content in contents])

    def found(self, query: str, limit: int = 1000) -> list[str]:
        answer = self.post("/agent/search", query=query, limit=limit)
        return [memory["decision"] for memory in answer["memories"]]

    def search_type(self) -> str:
        return self.post("/agent/search", query="Who keeps a vessel?")["search_type"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """A service with MiniLM, on an embedded database of its own; each test leaves it so."""
    home = tmp_path_factory.mktemp("switch")
    with running(home / "log", aurra_home=home / "home", aurra_embedder="minilm") as started:
        yield started
        assert started.stop() == 0


def command(service: Running, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aurra.main", "embeddings", *arguments],
        env=service.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored(service: Running, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the service's database, past the product."""

    async def fetch() -> list[tuple[Any, ...]]:
        async with connected(postgres.dsn) as connection:
            return [tuple(record) for record in await connection.fetch(sql)]

    with EmbeddedPostgres.open(Path(service.environment["AURRA_HOME"])) as postgres:
        return asyncio.run(fetch())


def lacking(service: Running, model: str) -> int:
    """Contents without a vector of the model."""
    [(count,)] = stored(
        service,
        "SELECT count(*) FROM content c WHERE NOT EXISTS (SELECT 1 FROM embedding e WHERE e.company_id = c.company_id"
        f" AND e.content_id = c.id AND e.model = '{model}' AND e.part = 0)",
    )
    return count


def active(service: Running) -> list[str]:
    lines = [msgspec.json.decode(line) for line in service.command("embeddings", "status", "--json").splitlines()]
    return [line["embedder"] for line in lines if line["event"] == "active"]


def await_(true: Callable[[], bool]) -> None:
    """Returns when it is so, which must be within seconds."""
    deadline = time.monotonic() + NOTICED_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def meanwhile(caller: Caller) -> Generator[list[str]]:
    """Searches and writes go on in another thread; yields what was written. Raises what went wrong there."""
    over, written, faults = threading.Event(), list[str](), list[BaseException]()
    known = set(caller.found("harbour"))

    def work() -> None:
        try:
            while not over.is_set():
                content = f"Written meanwhile, number {len(written)}"
                caller.store(content)
                written.append(content)
                assert set(caller.found("Who owns a vessel?")) == known | set(written)
                assert caller.search_type() == "hybrid"
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield written
    finally:
        over.set()
        thread.join()
    assert not faults, faults[0]


def test_a_service_goes_on_while_its_embedder_is_switched(service: Running) -> None:
    """Every search in between is complete; afterwards nothing lacks a vector, of whatever account, also of the past,
    and the running process uses the new one. Then back, which is quick; and at the end only one's vectors are left."""
    one, other = Caller(service, "one"), Caller(service, "other")
    one.store(*FACTS)
    other.store(FACTS[0], f"{'The pier is long. ' * 200}A whale was seen at night.")
    told = one.post("/agent/memories", content="Ann lives in Oslo", subject="ann", attribute="city")
    one.post("/agent/memories", content="Ann lives in Rome", subject="ann", attribute="city")
    with meanwhile(one) as written:
        switching = command(service, "switch", "wordllama")
        said, complaints = switching.communicate(timeout=120)
    assert switching.returncode == 0, complaints
    assert int(said.split(" contents lack")[0].replace(",", "")) >= 124
    assert "wordllama is the embedder now" in said and "nothing lacks a vector of wordllama" in said
    assert len(written) > 2
    assert lacking(service, WORDLLAMA) == 0
    assert active(service) == ["wordllama"]
    # The running process makes the new model's vectors by now.
    one.store("After the switch")
    assert stored(service, f"SELECT count(*) FROM embedding WHERE model = '{WORDLLAMA}' AND tx IS NOT NULL")[0][0] >= 1
    assert "FAIL" not in service.command("doctor")
    assert "embedder wordllama, active" in service.command("doctor")
    assert "kept     all-MiniLM-L6-v2-int8" in service.command("embeddings", "status")
    then = one.post(
        "/agent/search", query="Where does Ann live?", as_of="2099-01-01", transaction_as_of=told["transaction"]["id"]
    )
    assert "Ann lives in Oslo" in [memory["decision"] for memory in then["memories"]]

    back = service.command("embeddings", "switch", "minilm", "--prune", "--json")
    events = [msgspec.json.decode(line) for line in back.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == [
        "filling",
        "active",
        "done",
        "pruned",
    ]
    assert 1 <= events[0]["missing"] < 60
    assert {row[0] for row in stored(service, "SELECT DISTINCT model FROM embedding")} == {MINILM}
    assert lacking(service, MINILM) == 0
    assert "FAIL" not in service.command("ledger", "verify")
    # What went from the ledger is an entry of it, and the rest can be read as before.
    newest = one.get("/agent/transactions", limit=1)["transactions"][0]
    assert newest["verb"] == "erase"
    assert one.get(f"/agent/transactions/{newest['id']}")["closed"] == []
    assert one.get("/agent/diff", **{"from": newest["id"] - 1, "to": newest["id"]})["changes"] == []
    assert set(FACTS) <= set(one.found("harbour"))
    assert "FAIL" not in service.command("doctor")


def test_a_killed_switch_goes_on_where_it_was(service: Running) -> None:
    """SIGKILL at any point changes nothing for the service; run again, the command does only what is left."""
    caller = Caller(service, "killed")
    service.command("embeddings", "switch", "wordllama")
    await_(lambda: "wordllama" in active(service))
    caller.store(*FACTS, *(f"{fact}, and another there" for fact in FACTS))
    dice = random.Random(20261124)
    interrupted = 0
    with meanwhile(caller):
        for _ in range(2):
            switching = command(service, "switch", "minilm")
            assert switching.stdout is not None
            # It works once it has said what is to be done.
            switching.stdout.readline()
            time.sleep(dice.uniform(0, 0.5))
            switching.kill()
            switching.communicate()
            state = service.command("embeddings", "status")
            if "active   wordllama" in state:
                assert "filling  minilm" in state
                interrupted += 1
        output = service.command("embeddings", "switch", "minilm")
    assert interrupted and "nothing lacks a vector of minilm" in output
    assert lacking(service, MINILM) == 0
    assert active(service) == ["minilm"]
    assert "FAIL" not in service.command("doctor")


def test_without_an_embedder_and_back(service: Running) -> None:
    """Search goes by words alone, at once; back, what was written meanwhile gets its vectors."""
    caller = Caller(service, "none and back")
    caller.store(*FACTS[:10])
    assert "search goes by words alone" in service.command("embeddings", "switch", "none")
    await_(lambda: caller.search_type() == "keyword")
    caller.store(*FACTS[10:20])
    assert lacking(service, MINILM) == 10
    assert "FAIL" not in service.command("doctor")
    assert "10 contents lack a vector" in service.command("embeddings", "switch", "minilm")
    await_(lambda: caller.search_type() == "hybrid")
    assert lacking(service, MINILM) == 0
    assert set(caller.found("harbour")) == set(FACTS[:20])


def test_an_embedder_that_cannot_be_opened_or_does_not_answer_changes_nothing(service: Running) -> None:
    """One sentence says why; the service and its row stay as they were."""
    caller = Caller(service, "refused")
    caller.store(*FACTS[:3])
    before = service.command("embeddings", "status")
    assert f"active   minilm: {MINILM}, 384 dimensions; " in before and "filling" not in before
    for name, settings, why in (
        ("minilm-l12", {}, "There is no embedder 'minilm-l12'"),
        ("openai", {}, "set AURRA_EMBEDDER_MODEL"),
        ("openai:m", {"AURRA_EMBEDDER_BASE_URL": "http://127.0.0.1:9/v1"}, "could not be reached"),
        (
            "openai:m@8",
            {"AURRA_EMBEDDER_BASE_URL": "http://127.0.0.1:9/v1"},
            "could not be reached. Nothing was changed",
        ),
    ):
        broken = Running(service.process, service.url, {**service.environment, **settings}, service.log)
        refused = command(broken, "switch", name)
        _, said = refused.communicate(timeout=60)
        assert refused.returncode == 1 and why in said and said.count("\n") == 1, said
    assert service.command("embeddings", "status") == before
    assert caller.search_type() == "hybrid"


def test_the_installation_knows_its_embedder_whatever_the_setting_says(tmp_path: Path) -> None:
    """AURRA_EMBEDDER is for the first start; later the log says in one line which is used."""
    with running(tmp_path / "log", aurra_home=tmp_path / "home", aurra_embedder="wordllama") as first:
        caller = Caller(first, "kept")
        caller.store(*FACTS[:3])
    with running(tmp_path / "again", aurra_home=tmp_path / "home", aurra_embedder="none") as second:
        caller.url = second.url
        assert caller.search_type() == "hybrid"
        lines = [msgspec.json.decode(line) for line in second.log.read_text().splitlines() if line.startswith("{")]
        assert [(line["embedder"], line["configured"]) for line in lines] == [("wordllama", "none")]
        assert active(second) == ["wordllama"]
    assert "AURRA_EMBEDDER" not in first.log.read_text()


def test_the_doctor_counts_what_lacks_a_vector_and_finds_wrong_ones(service: Running) -> None:
    """Both are wrong: exit code 1, and what makes them good again."""
    Caller(service, "ill").store(*FACTS[:3])
    ours = "SELECT e.ctid FROM embedding e JOIN account a ON a.company_id = e.company_id WHERE a.name = 'ill' LIMIT 1"
    stored(service, f"DELETE FROM embedding WHERE ctid IN ({ours}) RETURNING 1")
    stored(service, f"UPDATE embedding SET vector = '[1,2,3]' WHERE ctid IN ({ours}) RETURNING 1")
    done = subprocess.run(
        [sys.executable, "-m", "aurra.main", "doctor"], env=service.environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"FAIL account ill: 1 of 3 contents lack a vector of {MINILM}; 1 vectors do not have 384" in done.stdout
    assert "aurra embeddings switch 'minilm'" in done.stdout
    assert "1 contents lack a vector" in service.command("embeddings", "switch", "minilm")
    assert lacking(service, MINILM) == 0
