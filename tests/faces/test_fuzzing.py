"""Whatever the OpenAPI document allows, and what it does not: no answer is a 5xx, and each is as the document says."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks as usual
from schemathesis.specs.openapi import checks as of_documents

from aurra.faces import openapi
from aurra.keys import SCOPES, Terms
from aurra.ops import OPERATIONS
from aurra.store.accounts import open_directory
from tests.running import Running, running

# Their types are not complete.
_usual: Any = usual
_of_documents: Any = of_documents
schema: Any = schemathesis.openapi.from_dict(openapi.document())
CHECKS: list[Any] = [
    _usual.not_a_server_error,
    _of_documents.content_type_conformance,
    _of_documents.response_schema_conformance,
]
_HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow]
_PHASES = [Phase.explicit, Phase.generate]


def _few(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=_HEALTH, phases=_PHASES)


class Fuzzed:
    """A service, two accounts of it (one for what changes an account's model, which is no real one), and ids."""

    def __init__(self, service: Running, keys: dict[str, str]) -> None:
        self.service = service
        self.keys = keys
        self.ids = {"tx": "1", "subject": "kim", "session_id": "call-7"}
        self._sent = 0
        for path, body, ids in (
            ("/agent/memories", {"content": "Kim lives in Oslo", "subject": "kim"}, "memory_id"),
            ("/agent/query", {"question": "Where does Kim live?"}, "receipt_id"),
            ("/agent/conversations", {"session_id": "call-7", "turns": [{"role": "user", "content": "Hello"}]}, ""),
        ):
            answer = httpx2.post(
                f"{service.url}{path}", json=body, headers={"Authorization": f"Bearer {self.keys['fuzzed']}"}
            )
            assert answer.status_code == 200, answer.text
            if ids:
                self.ids[ids] = answer.json()[ids]

    def send(self, case: Any) -> None:
        """Sends a case, every second time about something that is there; fails for an answer that must not be."""
        self._sent += 1
        account = "models" if "provider" in case.operation.path else "fuzzed"
        if self._sent % 2 and case.path_parameters:
            case.path_parameters = {**case.path_parameters, **self._there(case.path_parameters)}
        case.body = without_model(case.body)
        case.call_and_validate(
            base_url=self.service.url,
            headers={"Authorization": f"Bearer {self.keys[account]}"},
            checks=CHECKS,
            timeout=60,
        )

    def _there(self, parameters: dict[str, Any]) -> dict[str, str]:
        return {name: self.ids[name] for name in parameters if name in self.ids}


def without_model(body: Any) -> Any:
    """A model is somebody else's service: bodies that name one are sent without."""
    if not isinstance(body, dict):
        return body
    fields = cast("dict[str, Any]", body)
    return {name: value for name, value in fields.items() if name != "llm" or not isinstance(value, dict)}


async def two_keys(dsn: str) -> dict[str, str]:
    """Keys of two new accounts."""
    async with open_directory(dsn) as directory:
        made = {
            name: await directory.create_account(f"{name}-{uuid4()}", "enterprise") for name in ("fuzzed", "models")
        }
        terms = Terms(scopes=list(SCOPES))
        return {name: (await directory.create_key(account, terms)).raw for name, account in made.items()}


@pytest.fixture(scope="module")
def fuzzed(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """A service of its own on the tests' database."""
    log = tmp_path_factory.mktemp("fuzz") / "log"
    with running(log, database_url=dsn, aurra_embedder="none", aurra_log_level="info") as service:
        yield Fuzzed(service, asyncio.run(two_keys(dsn)))
        said = log.read_text()
        assert '"failed"' not in said and "Traceback" not in said, said[-3000:]
        assert service.stop() == 0


@schema.parametrize()
@_few(3)
def test_no_case_of_the_document_is_answered_by_a_500(case: Any, fuzzed: Fuzzed) -> None:
    """A few cases of every operation."""
    fuzzed.send(case)


@pytest.mark.long
@schema.parametrize()
@_few(500)
def test_five_hundred_cases_of_each_operation_are_answered(case: Any, fuzzed: Fuzzed) -> None:
    """Five hundred cases of every operation."""
    fuzzed.send(case)


def test_every_operation_is_fuzzed() -> None:
    """The document, which the cases are made from, has them all."""
    assert sum(1 for _ in schema.get_all_operations()) == len(OPERATIONS)
