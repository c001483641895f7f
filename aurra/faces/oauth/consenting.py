"""Where somebody who holds a key lets a host in: the page that asks, and what is decided on it."""

import re
import secrets
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import structlog
from litestar import Request, Response

from aurra import keys, oauth
from aurra.context import Caller, Service
from aurra.errors import AurraError, Forbidden
from aurra.faces import auth, limits, problems
from aurra.faces.oauth import requested, telling
from aurra.faces.oauth.pages import page
from aurra.faces.oauth.requested import Asked, Faulty, Unanswerable
from aurra.faces.oauth.telling import Refused
from aurra.oauth import Client
from aurra.store import accounts, grants
from aurra.store.grants import Consent

AnyRequest = Request[Any, Any, Any]
log = structlog.get_logger("aurra")

_COOKIE = "aurra_consent"
_BROWSER = re.compile(r"[0-9a-f]{32}")


async def ask(service: Service, request: AnyRequest, request_id: str) -> Response[bytes]:
    """The page that asks for a key, or that says why there is nothing to ask."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        asked = requested.read(service, request, text)
    except (Unanswerable, Faulty) as error:
        return _refusal(error, request_id)
    return _question(service, request, asked, request_id)


async def decide(service: Service, request: AnyRequest, request_id: str) -> Response[bytes]:
    """What comes of the page. The browser gets a page again: with the way to the host, or with what was wrong.

    A redirection would be one of the form's, and browsers refuse to send a form on to where the host itself redirects.
    """
    try:
        form = await telling.form(request)
        asked = requested.read(service, request, form.get("request", ""))
    except Refused as refused:
        return _refusal(Unanswerable(refused.description), request_id)
    except (Unanswerable, Faulty) as error:
        return _refusal(error, request_id)
    if not _is_ours(service, request, form):
        fault = "This page was not the one that you were shown last. Check it, and enter the key again."
        return _question(service, request, asked, request_id, status=403, fault=fault)
    if form.get("decision") != "connect":
        return _handed_over(asked, asked.answer(error="access_denied"), "Nothing was connected.", request_id)
    read_only = "read_only" in form
    try:
        caller = await limits.admitted(service, request, auth.of_key(service, form.get("api_key", "").strip()))
        service.last_uses.note(caller)
        code = await _granted(service, asked, caller, read_only=read_only)
    except Exception as raised:
        error = problems.told(raised, request_id, request.method)
        status = 409 if error.code == "signature_required" else error.status
        return _question(
            service, request, asked, request_id, status=status, fault=_fault(error), read_only=read_only, error=error
        )
    text = "Your key was accepted. You can close this page once the app is open."
    return _handed_over(asked, asked.answer(code=code), text, request_id)


async def _granted(service: Service, asked: Asked, caller: Caller, *, read_only: bool) -> str:
    """A code for what the caller's key may of what is asked for."""
    scopes = oauth.granted_scopes(asked.scopes, caller.scopes, read_only=read_only)
    if not scopes:
        raise Forbidden("This key has none of the scopes that would be granted.")
    consent = Consent(
        key_id=caller.key_id,
        consented_by=caller.secret_hash,
        scopes=scopes,
        client_hash=keys.hash_secret(asked.client_id),
        client_name=asked.client.name,
        redirect_uri=asked.redirect_uri,
        resource=asked.resource,
        challenge=asked.challenge,
    )
    code, grant_id = oauth.make_token("code", caller.key_id), uuid4()
    async with service.database.begin(caller.company_id) as tx:
        at = service.clock() or await accounts.now(tx)
        await grants.create(tx, grant_id, consent, at)
        await grants.add_token(tx, grant_id, caller.key_id, "code", keys.hash_secret(code), at + oauth.CODE_LASTS)
        await grants.forget_ended(tx, at)
    log.info(
        "access was granted", account=str(caller.company_id), key=caller.key_id, grant=str(grant_id), scopes=scopes
    )
    return code


def _fault(error: AurraError) -> str:
    match error.code:
        case "signature_required":
            return "This key signs its requests, which an app cannot do. Use a key without signing."
        case "rate_limited":
            return f"{error} Try again in {error.retry_after} seconds."
        case _:
            return str(error)


def _question(
    service: Service,
    request: AnyRequest,
    asked: Asked,
    request_id: str,
    *,
    status: int = 200,
    fault: str = "",
    read_only: bool = False,
    error: AurraError | None = None,
) -> Response[bytes]:
    browser = _browser(request) or secrets.token_hex(16)
    secure = "; Secure" if asked.issuer.startswith("https:") else ""
    return page(
        "consent",
        status,
        {
            "X-Request-Id": request_id,
            # It holds no session: it ties the form to the browser that was shown it.
            "Set-Cookie": f"{_COOKIE}={browser}; Path=/oauth/authorize; HttpOnly; SameSite=Lax{secure}",
            **(problems.headers(error) if error else {}),
        },
        client=_shown(asked.client),
        destination=_destination(asked.redirect_uri),
        host=urlsplit(asked.issuer).netloc,
        asked=", ".join(asked.scopes) if len(asked.scopes) < len(oauth.GRANTABLE) else "",
        request=asked.text,
        proof=oauth.proof(service.cursor_secret, browser, asked.text),
        fault=fault,
        read_only=read_only,
    )


def _browser(request: AnyRequest) -> str | None:
    given = request.cookies.get(_COOKIE, "")
    return given if _BROWSER.fullmatch(given) else None


def _is_ours(service: Service, request: AnyRequest, form: dict[str, str]) -> bool:
    """Whether this browser was shown the form, for this request, and sends it from there."""
    browser = _browser(request)
    if browser is None or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    proof = oauth.proof(service.cursor_secret, browser, form["request"])
    return secrets.compare_digest(proof.encode(), form.get("proof", "").encode())


def _handed_over(asked: Asked, to: str, text: str, request_id: str) -> Response[bytes]:
    """The page from which the browser goes to the host, by itself or by the link."""
    headers = {"X-Request-Id": request_id, "Refresh": f"0; url={to}"}
    return page(
        "said", 200, headers, title="Back to the app", text=text, back=to, **_of(asked.client, asked.redirect_uri)
    )


def _refusal(error: Unanswerable | Faulty, request_id: str) -> Response[bytes]:
    """Nobody is sent on by themselves: whoever registered a client would have a way to anywhere."""
    title = "This cannot be connected"
    of = _of(error.client, error.redirect_uri) if isinstance(error, Faulty) else {"client": "", "destination": ""}
    back = error.back if isinstance(error, Faulty) else ""
    return page("said", 400, {"X-Request-Id": request_id}, title=title, text=str(error), back=back, **of)


def _of(client: Client, redirect_uri: str) -> dict[str, str]:
    return {"client": _shown(client), "destination": _destination(redirect_uri)}


def _shown(client: Client) -> str:
    return client.name or "an app without a name"


def _destination(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    if oauth.is_loopback(redirect_uri):
        return f"a program on this computer ({parts.netloc})"
    return parts.netloc if parts.scheme == "https" else f"the app that opens {parts.scheme}: links"
