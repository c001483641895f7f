"""What a host asks for when it sends somebody's browser: read and checked, before anybody is asked to consent."""

from typing import Any

import msgspec
from litestar import Request

from aurra import oauth
from aurra.context import Service
from aurra.faces import origins
from aurra.faces.oauth import telling
from aurra.faces.oauth.telling import Refused
from aurra.oauth import Client

AnyRequest = Request[Any, Any, Any]
_LONGEST = 8000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization request that can be granted."""

    text: str
    """The query it came as."""
    client: Client
    client_id: str
    redirect_uri: str
    state: str
    scopes: list[str]
    resource: str
    challenge: str
    issuer: str

    def answer(self, **parameters: str) -> str:
        """Where the browser goes with an answer."""
        return _answer(self.redirect_uri, self.state, self.issuer, parameters)


class Unanswerable(Exception):
    """It cannot be told who asks, or where an answer would go: nobody is sent anywhere."""


class Faulty(Exception):
    """The host asked for something that there is not; `back` tells it so, if whoever reads this goes there."""

    def __init__(self, client: Client, redirect_uri: str, refused: Refused, back: str) -> None:
        super().__init__(refused.description)
        self.client = client
        self.redirect_uri = redirect_uri
        self.back = back


def read(service: Service, request: AnyRequest, text: str) -> Asked:
    """The request of a query. Raises Unanswerable, or Faulty."""
    if len(text) > _LONGEST:
        raise Unanswerable("The app that sent you here asked in too many words.")
    try:
        given = telling.fields(text)
    except Refused as refused:
        raise Unanswerable(refused.description) from None
    client_id = given.get("client_id", "")
    if (client := oauth.client_of(client_id, service.cursor_secret)) is None:
        raise Unanswerable(
            "The app that sent you here is not registered with this service. Remove the connection in the app, and add "
            "it again."
        )
    redirect_uri = given.get("redirect_uri") or (client.redirect_uris[0] if len(client.redirect_uris) == 1 else "")
    if not oauth.may_redirect(client, redirect_uri):
        raise Unanswerable("The app that sent you here wants the access sent to an address that it did not register.")
    issuer = origins.of(service, request)
    try:
        _require_served(given, issuer)
    except Refused as refused:
        told = {"error": refused.error, "error_description": refused.description}
        back = _answer(redirect_uri, given.get("state", ""), issuer, told)
        raise Faulty(client, redirect_uri, refused, back) from None
    return Asked(
        text=text,
        client=client,
        client_id=client_id,
        redirect_uri=redirect_uri,
        state=given.get("state", ""),
        scopes=oauth.asked_scopes(given.get("scope", "")),
        resource=given.get("resource", ""),
        challenge=given["code_challenge"],
        issuer=issuer,
    )


def _require_served(given: dict[str, str], issuer: str) -> None:
    if given.get("response_type") != "code":
        raise Refused("unsupported_response_type", "`response_type` must be code.")
    if given.get("response_mode", "query") != "query":
        raise Refused("invalid_request", "`response_mode` must be query.")
    if given.get("code_challenge_method") != "S256" or not oauth.is_challenge(given.get("code_challenge", "")):
        raise Refused("invalid_request", "PKCE is required: `code_challenge`, with `code_challenge_method` S256.")
    if "resource" in given and not oauth.is_resource(given["resource"], issuer):
        raise Refused("invalid_target", f"`resource` must be {issuer}/mcp or {issuer}.")
    if "request" in given or "request_uri" in given:
        raise Refused("request_not_supported", "Send the parameters themselves.")


def _answer(redirect_uri: str, state: str, issuer: str, parameters: dict[str, str]) -> str:
    more = {**parameters, **({"state": state} if state else {}), "iss": issuer}
    return oauth.with_parameters(redirect_uri, more)
