"""GraphQL over HTTP, after its specification: POST with JSON, GET for queries; the page for people at the same path.

What is refused before the document is looked at (key, address, limits, size, form) is refused as REST refuses it.
"""

import re
from typing import Any

import msgspec
from graphql import OperationType
from litestar import MediaType, Request, Response
from litestar.handlers import HTTPRouteHandler

from aurra import rates
from aurra.context import Caller, Service
from aurra.errors import AurraError, BadRequest, Unprocessable
from aurra.faces import decoding, receiving
from aurra.faces.graphql import executing, page
from aurra.faces.graphql.documents import Documents, Wrong
from aurra.faces.graphql.executing import Asked, Outcome
from aurra.faces.graphql.state import State
from aurra.ops import OPERATIONS

AnyRequest = Request[Any, Any, Any]
PATHS = ["/graphql", "/api/v1/graphql"]
_ANSWER = "application/graphql-response+json"
_encode = msgspec.json.Encoder().encode


def handlers(service: Service, documents: Documents) -> list[HTTPRouteHandler]:
    """The handlers of both paths, and of what the page is made of."""
    # As much as the largest operation takes; each is held to its own.
    limit = max(op.body_limit for op in OPERATIONS.values())

    async def post(request: AnyRequest) -> Response[bytes]:
        async def work(request_id: str) -> Response[bytes]:
            receiving.require_single_headers(request)
            caller, body = await _caller_and_body(service, request, limit)
            asked = _asked(decoding.json_object(body))
            return await _answer(service, documents, request, caller, asked, request_id)

        return await receiving.respond(request, work)

    async def get(request: AnyRequest) -> Response[bytes]:
        async def work(request_id: str) -> Response[bytes]:
            if "query" not in request.query_params and page.is_wanted(request.headers.get("accept", "")):
                return page.response(request_id)
            receiving.require_single_headers(request)
            caller, _ = await _caller_and_body(service, request, None)
            return await _answer(service, documents, request, caller, _asked_in_query(request), request_id)

        return await receiving.respond(request, work)

    return [_handler("POST", post), _handler("GET", get), *page.handlers()]


def _handler(method: Any, endpoint: Any) -> HTTPRouteHandler:
    name = f"graphql_{method.lower()}"
    return HTTPRouteHandler(
        PATHS, http_method=method, name=name, operation_id=name, status_code=200, include_in_schema=False
    )(endpoint)


async def _caller_and_body(service: Service, request: AnyRequest, limit: int | None) -> tuple[Caller, bytes]:
    return await receiving.caller_and_body(service, request, may=lambda _: None, limit=limit, bucket=rates.GRAPHQL)


def _asked(given: dict[str, Any]) -> Asked:
    """The request of a body, or of a query string. Raises Unprocessable."""
    if "query" not in given:
        raise Unprocessable("`query` is required.", param="query")
    try:
        return msgspec.convert(given, Asked)
    except msgspec.ValidationError as error:
        place = re.search(r"at `\$\.(\w+)", str(error))
        raise Unprocessable(f"The request is not GraphQL's: {error}.", param=place[1] if place else None) from None


def _asked_in_query(request: AnyRequest) -> Asked:
    given: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if given.get(name):
            given[name] = decoding.json_object(str(given[name]).encode())
        else:
            given.pop(name, None)
    return _asked(given)


async def _answer(
    service: Service, documents: Documents, request: AnyRequest, caller: Caller, asked: Asked, request_id: str
) -> Response[bytes]:
    state = State(service, caller, request_id)
    try:
        chosen = executing.choose(documents, asked)
    except (Wrong, BadRequest) as error:
        return _response(request, state, executing.not_chosen(error, request_id))
    if chosen.kind is OperationType.SUBSCRIPTION:
        return _response(request, state, executing.not_chosen(executing.not_over_http(), request_id))
    if request.method == "GET" and chosen.kind is not OperationType.QUERY:
        raise AurraError("A mutation is sent with POST.", code="method_not_allowed")
    return _response(request, state, await executing.run(state, chosen))


def _response(request: AnyRequest, state: State, outcome: Outcome) -> Response[bytes]:
    """With the media type that GraphQL has for itself, refusals have the status that they have elsewhere."""
    is_asked_for = _ANSWER in request.headers.get("accept", "").lower()
    headers = {"X-Request-Id": state.request_id, "Vary": "Accept"}
    if state.replayed:
        headers["Idempotent-Replayed"] = "true"
    if state.plan_warning:
        headers["X-Plan-Warning"] = state.plan_warning.encode("ascii", "replace").decode()
    return Response(
        _encode(outcome.body),
        status_code=(outcome.refused if is_asked_for else None) or 200,
        media_type=_ANSWER if is_asked_for else MediaType.JSON,
        headers=headers,
    )
