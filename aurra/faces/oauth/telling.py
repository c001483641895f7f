"""What OAuth's programs are told, as RFC 6749 has it; and the forms that they send."""

from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response

from aurra.faces import problems, receiving

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]
BODY_LIMIT = 64 * 1024
_MOST_FIELDS = 50
_FORM = "application/x-www-form-urlencoded"
_NAMES = {429: "temporarily_unavailable", 503: "temporarily_unavailable", 500: "server_error"}


class Refused(Exception):
    """An error of RFC 6749, 7009 or 7591: its name, and a sentence for whoever wrote the client."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status


class Told(msgspec.Struct, frozen=True):
    """An answer, and the status that goes with it."""

    body: Json
    status: int = 200


async def respond(request: AnyRequest, work: Coroutine[Any, Any, Told]) -> Response[bytes]:
    """The response of some work, or of the error it raised; never an exception. It is stored nowhere."""
    request_id = receiving.request_id_of(request)
    headers = {"X-Request-Id": request_id, "Cache-Control": "no-store", "Pragma": "no-cache"}
    try:
        told = await work
        return _json(told.body, told.status, headers)
    except Refused as refused:
        if refused.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        body = {"error": refused.error, "error_description": refused.description}
        return _json(body, refused.status, headers)
    except Exception as raised:
        error = problems.told(raised, request_id, request.method)
        said: Json = msgspec.json.decode(problems.body(error, request_id))
        said["error"] = _NAMES.get(error.status, "invalid_request")
        said["error_description"] = str(error)
        return _json(said, error.status, {**headers, **problems.headers(error)})


def _json(body: Json, status: int, headers: dict[str, str]) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers)


async def form(request: AnyRequest) -> dict[str, str]:
    """The fields of a form that was sent. Raises Refused for what is none, AurraError for a body that is too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Refused("invalid_request", f"Send the form as {_FORM}.")
    return fields((await receiving.read_body(request, BODY_LIMIT)).decode("utf-8", "replace"))


def fields(text: str) -> dict[str, str]:
    """The fields of a query or a form. Raises Refused for one that is there twice, and for what cannot be read."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refused("invalid_request", f"Send at most {_MOST_FIELDS} fields, as UTF-8.") from None
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        code = "invalid_target" if twice == "resource" else "invalid_request"
        raise Refused(code, f"`{twice[:40]}` was sent twice.")
    # What is empty counts as not sent (RFC 6749, 3.1).
    return {name: value for name, value in pairs if value}
