"""`aurra conformance`: it passes against the service, and it fails where a service lies."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest

from aurra.conformance.expecting import Broken, expect
from aurra.conformance.laws import ALL
from tests.running import Running, environment_of, free_port, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service on an embedded database of its own, with one account."""
    home = tmp_path_factory.mktemp("conformance")
    with running(home / "log", aurra_home=home / "home", aurra_embedder="none") as started:
        started.command("accounts", "create", "acme")
        yield started
        assert started.stop() == 0


@pytest.fixture(scope="module")
def key(service: Running) -> str:
    """A key with every scope."""
    return service.command("keys", "create", "--account", "acme").strip()


def conformance(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, ended."""
    return subprocess.run(
        [sys.executable, "-m", "aurra.main", "conformance", *arguments],
        env=environment_of(),
        capture_output=True,
        text=True,
        timeout=100,
    )


def played(url: str, key: str, *laws: str) -> dict[str, Any]:
    """The JSON report of some laws, or of all."""
    chosen = [word for law in laws for word in ("--law", law)]
    done = conformance("--url", url, "--key", key, "--json", *chosen)
    assert done.returncode in (0, 1), done.stderr
    return msgspec.json.decode(done.stdout)


def broken(report: dict[str, Any]) -> set[str]:
    """Names of the laws that failed."""
    assert report["errors"] == 0, report
    return {law["name"] for law in report["laws"] if law["outcome"] == "failed"}


def test_the_service_keeps_every_law(service: Running, key: str) -> None:
    """All laws pass, and no tenant is left."""
    report = played(service.url, key)
    assert [law for law in report["laws"] if law["outcome"] != "passed"] == []
    assert [law["name"] for law in report["laws"]] == list(ALL)
    assert (report["passed"], report["failed"], report["errors"]) == (len(ALL), 0, 0)
    assert report["tenants_left"] == []


def test_the_text_names_each_law_with_its_sentence(service: Running, key: str) -> None:
    """One line a law, a count at the end, exit code 0."""
    done = conformance("--url", service.url, "--key", key, "--law", "half-open-intervals")
    assert done.returncode == 0
    law, count = done.stdout.splitlines()
    assert law == f"passed half-open-intervals: {ALL['half-open-intervals'].sentence}"
    assert count == "1 law: 1 passed, 0 failed, 0 with errors"


def test_the_list_needs_no_service() -> None:
    """`--list` names every law with its sentence."""
    listed = conformance("--list").stdout.splitlines()
    assert [line.partition(":")[0] for line in listed] == list(ALL)
    assert all(law.sentence.endswith(".") for law in ALL.values())
    assert msgspec.json.decode(conformance("--list", "--json").stdout)["laws"][0]["name"] == next(iter(ALL))


@pytest.mark.parametrize(
    "arguments",
    [(), ("--url", "http://localhost:1"), ("--law", "gravity"), ("--url", "localhost", "--key", "x")],
)
def test_wrong_use_is_exit_code_two(arguments: tuple[str, ...]) -> None:
    """As everywhere in the command line."""
    done = conformance(*arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_refused_key_is_exit_code_five(service: Running) -> None:
    """A key that is unknown, and one that may not write; one sentence, without the key."""
    reader = service.command("keys", "create", "--account", "acme", "--scopes", "read_only").strip()
    for wrong, said in (("aurra_wrong", "401"), (reader, "memories:write"), ("aurra_ñ", "characters")):
        done = conformance("--url", service.url, "--key", wrong)
        assert done.returncode == 5
        assert said in done.stderr and wrong not in done.stderr + done.stdout and "Traceback" not in done.stderr


def test_nothing_listening_is_exit_code_six() -> None:
    """One sentence that names the address."""
    for url in (f"http://127.0.0.1:{free_port()}", "http://[::1"):
        done = conformance("--url", url, "--key", "any")
        assert done.returncode == 6
        assert url in done.stderr and "Traceback" not in done.stderr


def test_tenants_that_cannot_be_erased_are_named(service: Running) -> None:
    """A key without the scope memories:erase leaves its tenants, and the report says so. What the key may not do is no
    breach of a law."""
    scopes = "memories:read,memories:write"
    key = service.command("keys", "create", "--account", "acme", "--scopes", scopes).strip()
    report = played(service.url, key, "half-open-intervals")
    assert report["passed"] == 1 and len(report["tenants_left"]) == 1
    done = conformance("--url", service.url, "--key", key, "--law", "half-open-intervals", "--law", "query-replays")
    assert done.returncode == 1
    assert "error  query-replays" in done.stdout and "scope" in done.stdout
    assert "2 tenants named conformance-… left behind" in done.stdout


class Sent(msgspec.Struct):
    """A request on its way to the service; a lie may change it."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def is_assert(self) -> bool:
        return (self.method, self.path) == ("POST", "/agent/memories")


class Canned(msgspec.Struct):
    """An answer that never came from the service."""

    status: int
    body: bytes


Lie = Callable[[Sent], Canned | None]


@contextlib.contextmanager
def lying(url: str, lie: Lie) -> Generator[str]:
    """A service that is the one at the URL, but for the lie."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            parts = urlsplit(self.path)
            body: dict[str, Any] = msgspec.json.decode(content) if content else {}
            names = ("Authorization", "Idempotency-Key")
            headers = {name: self.headers[name] for name in names if name in self.headers}
            sent = Sent(self.command, parts.path, dict(parse_qsl(parts.query)), body, headers)
            canned = lie(sent) or self.forward(sent)
            self.send_response(canned.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(canned.body)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(canned.body)

        def forward(self, sent: Sent) -> Canned:
            json = sent.body if sent.method == "POST" else None
            came = client.request(sent.method, sent.path, params=sent.query, json=json, headers=sent.headers)
            return Canned(came.status_code, came.content)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    with httpx2.Client(base_url=url, timeout=30) as client:
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def forgets_the_past(sent: Sent) -> None:
    """Every read is of the newest transaction."""
    sent.query.pop("transaction_as_of", None)
    sent.body.pop("transaction_as_of", None)


def ignores_the_end(sent: Sent) -> None:
    """Whatever is asserted, holds for ever."""
    if sent.is_assert:
        sent.body.pop("valid_to", None)


def shows_all_times(sent: Sent) -> None:
    """A list holds what is not valid, too."""
    if (sent.method, sent.path) == ("GET", "/agent/memories"):
        sent.query["include_superseded"] = "true"


def forgets_idempotency(sent: Sent) -> None:
    """What is sent again, is done again."""
    sent.headers.pop("Idempotency-Key", None)


def runs_dry_runs(sent: Sent) -> None:
    """A dry run is a run."""
    if sent.body.get("tenant_id", "").startswith("conformance-") and sent.body.get("subject"):
        sent.body["dry_run"] = False


def knows_one_tenant(sent: Sent) -> None:
    """All tenants are one."""
    if sent.path != "/agent/erase":
        for given in (sent.query, sent.body):
            if "tenant_id" in given:
                given["tenant_id"] = f"shared-{sent.headers['Authorization'][-8:]}"


@pytest.mark.parametrize(
    ("lie", "breaks", "keeps"),
    [
        (
            forgets_the_past,
            {
                "past-survives-changes-of-the-world",
                "later-closings-are-unknown-before",
                "what-february-believed-about-april",
                "list-replays",
                "the-future-cannot-be-read",
            },
            {"half-open-intervals", "bounded-retroactive-edit-leaves-no-hole"},
        ),
        (
            ignores_the_end,
            {
                "half-open-intervals",
                "bounded-retroactive-edit-leaves-no-hole",
                "older-fact-with-an-end-arrives-late",
                "asserts-equal-a-plain-table",
                "bad-intervals-are-refused",
            },
            {"what-february-believed-about-april", "older-fact-arrives-late"},
        ),
        (
            shows_all_times,
            {"half-open-intervals", "one-value-an-instant", "future-fact-starts-by-itself"},
            {"asserts-equal-a-plain-table"},
        ),
        (forgets_idempotency, {"same-idempotency-key-writes-once"}, {"list-replays"}),
        (runs_dry_runs, {"dry-run-foretells-changes-of-the-world"}, {"list-replays"}),
        (
            knows_one_tenant,
            {"tenants-do-not-see-one-another", "same-text-in-two-tenants-is-two-facts"},
            {"a-write-is-seen-by-the-next-read"},
        ),
    ],
)
def test_a_lie_breaks_the_laws_it_breaks(
    service: Running, key: str, lie: Lie, breaks: set[str], keeps: set[str]
) -> None:
    """Each of the laws fails by name, and those that the lie does not touch pass."""
    with lying(service.url, lie) as url:
        report = played(url, key, *breaks, *keeps)
    assert broken(report) == breaks
    for law in report["laws"]:
        assert (law["expected"] is None) == (law["outcome"] == "passed")


def test_a_failed_law_says_what_was_expected_and_what_came(service: Running, key: str) -> None:
    """In text, with exit code 1."""
    with lying(service.url, ignores_the_end) as url:
        done = conformance("--url", url, "--key", key, "--law", "half-open-intervals")
    assert done.returncode == 1
    first, what, expected, came, count = done.stdout.splitlines()
    assert first.startswith("FAILED half-open-intervals: At `valid_from` it is true")
    assert what.endswith("read at 2024-01-04T00:00:00.000000+00:00")
    assert (expected, came) == ("       expected: []", '       came:     ["Oslo"]')
    assert count == "1 law: 0 passed, 1 failed, 0 with errors"


def test_a_key_pinned_to_a_tenant_is_refused(service: Running, key: str) -> None:
    """The suite needs tenants of its own: exit code 5, one sentence."""

    def pinned(sent: Sent) -> Canned | None:
        is_other = "tenant_id" in sent.query or "tenant_id" in sent.body
        return Canned(404, b'{"detail":"There is nothing","code":"not_found"}') if is_other else None

    with lying(service.url, pinned) as url:
        done = conformance("--url", url, "--key", key)
    assert done.returncode == 5 and "pinned to one tenant" in done.stderr


def test_a_service_that_speaks_another_language_is_exit_code_six(service: Running, key: str) -> None:
    """An answer that is no JSON object, or a path that is not there."""
    for canned in (Canned(200, b"<p>Hello</p>"), Canned(404, b'{"detail":"no such path"}')):
        with lying(service.url, lambda _, canned=canned: canned) as url:
            done = conformance("--url", url, "--key", key)
        assert done.returncode == 6 and "Traceback" not in done.stderr


def test_a_busy_service_is_waited_for(service: Running, key: str) -> None:
    """429 and 503 with Retry-After are tried again; the write is not done twice."""
    statuses = iter([429, 200, 503, 200, 429, 503, 200])

    def busy(sent: Sent) -> Canned | None:
        status = next(statuses, 200)
        return None if status == 200 else Canned(status, b'{"detail":"busy"}')

    with lying(service.url, busy) as url:
        assert broken(played(url, key, "half-open-intervals")) == set()


def test_the_first_difference_is_named() -> None:
    """A breach deep inside two answers is told by its place."""
    with pytest.raises(Broken) as caught:
        expect({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, "the answer")
    assert (caught.value.what, caught.value.wanted, caught.value.got) == ("the answer (at a.1.b)", 3, 2)
