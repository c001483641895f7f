"""What the clients put on the wire, and what they make of what comes back."""

import json
import pickle
from typing import Any

import pytest
from aurra_sdk import (
    AurraError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    LLMProviderError,
    NotFoundError,
    PermissionDeniedError,
    PlanLimitError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    UnprocessableError,
    __version__,
)

from tests.sdk.conftest import KEY, Either, MakeClient
from tests.sdk.scripted_server import PLAN, RETRACTED, ScriptedServer, answers, problem, sends

SETTINGS: dict[str, Any] = {"min_confidence": 0.9, "of_a_newer_server": {"x": 1}}


async def test_a_read_says_who_asks(scripted: Either, server: ScriptedServer) -> None:
    """The key as a bearer, the version as the user agent; no body, so no content type."""
    server.script(answers(PLAN))
    await scripted("plan.status")
    [request] = server.requests
    assert (request.method, request.target, request.body) == ("GET", "/plan/status", None)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"] == f"aurra-sdk-python/{__version__}"
    assert "content-type" not in request.headers


async def test_only_what_is_given_is_sent(make_scripted: MakeClient, server: ScriptedServer) -> None:
    """None is null in a body, and nothing in a query string; booleans there are true and false."""
    either = make_scripted(base_url=f"{server.url}/under/")
    server.script(answers(SETTINGS), answers(RETRACTED))
    await either("settings.update", classifier_model=None, excluded_categories=("a",))
    await either("memories.delete", "a b/c", reason=None, dry_run=True)
    change, retract = server.requests
    assert change.body == {"classifier_model": None, "excluded_categories": ["a"]}
    assert change.headers["content-type"] == "application/json"
    assert (retract.path, retract.query) == ("/under/memories/a%20b%2Fc", {"dry_run": ["true"]})


@pytest.mark.parametrize("memory_id", ["", ".", ".."])
async def test_an_id_that_would_change_the_path_is_not_sent(
    scripted: Either, server: ScriptedServer, memory_id: str
) -> None:
    """An empty id, or a step up, is a ValueError that names the parameter."""
    with pytest.raises(ValueError, match="memory_id"):
        await scripted("memories.retract", memory_id)
    assert server.requests == []


async def test_fields_of_a_newer_server_are_dropped(scripted: Either, server: ScriptedServer) -> None:
    """Unknown fields do not break the answer; absent ones have their defaults."""
    server.script(answers(SETTINGS))
    settings = await scripted("settings.get")
    assert (settings.min_confidence, settings.freshness_half_life_days) == (0.9, 30)
    assert "of_a_newer_server" not in settings
    assert json.loads(json.dumps(settings.to_dict()))["warnings"] == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, PlanLimitError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (413, AurraError),
        (422, UnprocessableError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
    ],
)
async def test_each_status_has_its_error(
    make_scripted: MakeClient, server: ScriptedServer, status: int, kind: type[AurraError]
) -> None:
    """With everything that the problem document says, and it survives pickling."""
    server.script(problem(status, "some_code", {"Retry-After": "7"}, param="limit", errors=[{"param": "limit"}]))
    with pytest.raises(AurraError) as caught:
        await make_scripted(max_retries=0)("plan.status")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert type(error) is kind
        assert (error.status_code, error.code, error.detail, error.param) == (
            status,
            "some_code",
            "It failed.",
            "limit",
        )
        assert (error.hint, error.request_id, error.retry_after) == ("Try something else.", "r-1", 7)
        assert error.errors == [{"param": "limit"}]
        assert str(error) == f"It failed. ({status} some_code; request r-1)"


@pytest.mark.parametrize("status", [400, 401, 503])
async def test_a_failed_provider_is_an_error_of_the_provider_whatever_the_status(
    make_scripted: MakeClient, server: ScriptedServer, status: int
) -> None:
    """detail.error decides, and the message is the provider's."""
    detail = {"error": "llm_provider_error", "provider": "openai", "message": "No credit."}
    server.script(problem(status, "llm_provider_error", detail=detail))
    with pytest.raises(LLMProviderError, match="No credit") as caught:
        await make_scripted(max_retries=0)("memories.query", "what?")
    assert (caught.value.provider, caught.value.detail) == ("openai", detail)


async def test_a_blocked_plan_says_what_was_used(scripted: Either, server: ScriptedServer) -> None:
    """402: the fields of the plan are in detail."""
    detail = {"error": "plan_limit_exceeded", "message": "No writes left.", **PLAN}
    server.script(problem(402, "plan_limit_exceeded", detail=detail))
    with pytest.raises(PlanLimitError, match="No writes left") as caught:
        await scripted("memories.add", content="x")
    assert isinstance(caught.value.detail, dict)
    assert caught.value.detail["writes_used"] == 49


async def test_an_error_that_is_no_problem_document_keeps_its_text(
    make_scripted: MakeClient, server: ScriptedServer
) -> None:
    """What a proxy says: the status decides, the text is the body, the request id comes from the header."""
    server.script(sends(502, b"<html>bad gateway</html>", {"X-Request-Id": "r-9"}), sends(302, b"", {"Location": "/"}))
    either = make_scripted(max_retries=0)
    with pytest.raises(ServerError) as caught:
        await either("plan.status")
    assert (caught.value.body, caught.value.detail) == ("<html>bad gateway</html>", None)
    assert caught.value.request_id == "r-9"
    with pytest.raises(AurraError) as moved:
        await either("memories.add", content="never redirected")
    assert moved.value.status_code == 302


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"plan_tier": 5}', b""])
async def test_success_that_is_not_the_answer_is_said_so(scripted: Either, server: ScriptedServer, body: bytes) -> None:
    """200 with something else is an UnexpectedAnswerError, not tried again."""
    server.script(sends(200, body))
    with pytest.raises(UnexpectedAnswerError, match=r"plan\.status") as caught:
        await scripted("plan.status")
    assert (caught.value.status_code, caught.value.body) == (200, body.decode())
    assert len(server.requests) == 1
