"""Dynamic client registration (RFC 7591): anybody may, and nothing is stored of it."""

from typing import Any

import msgspec
from litestar import Request

from aurra import oauth
from aurra.context import Service
from aurra.faces import receiving
from aurra.faces.oauth.telling import BODY_LIMIT, Refused, Told
from aurra.oauth import Client

AnyRequest = Request[Any, Any, Any]
_SERVED = {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}


class Registration(msgspec.Struct):
    """What is read of a registration."""

    redirect_uris: list[str]
    client_name: str | None = None
    grant_types: list[str] | None = None
    response_types: list[str] | None = None


async def register(service: Service, request: AnyRequest) -> Told:
    """An id for the client. It has no secret, whatever method it asked for; the answer says so."""
    try:
        asked = msgspec.json.decode(await receiving.read_body(request, BODY_LIMIT), type=Registration)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused("invalid_client_metadata", f"The registration cannot be read: {error}.") from None
    _require_served(asked)
    _require_redirects(asked.redirect_uris)
    client = Client(oauth.shown_name(asked.client_name or ""), asked.redirect_uris)
    return Told(
        {
            "client_id": oauth.client_id_of(client, service.cursor_secret),
            "client_name": client.name,
            "redirect_uris": client.redirect_uris,
            "token_endpoint_auth_method": "none",
            **_SERVED,
        },
        201,
    )


def _require_served(asked: Registration) -> None:
    given = {"grant_types": asked.grant_types, "response_types": asked.response_types}
    for name, served in _SERVED.items():
        if (of := given[name]) and served[0] not in of:
            raise Refused("invalid_client_metadata", f"`{name}` must hold {served[0]}.")


def _require_redirects(uris: list[str]) -> None:
    if not uris or len(uris) > oauth.MOST_REDIRECTS or sum(map(len, uris)) > oauth.LONGEST_REDIRECTS:
        raise Refused(
            "invalid_redirect_uri",
            f"Register 1 to {oauth.MOST_REDIRECTS} redirect_uris, of {oauth.LONGEST_REDIRECTS} characters together.",
        )
    for number, uri in enumerate(uris):
        try:
            oauth.require_redirect(uri)
        except ValueError as error:
            raise Refused("invalid_redirect_uri", f"redirect_uris[{number}] cannot be used: {error}.") from None
