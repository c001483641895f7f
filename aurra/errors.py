"""Every error a caller can see, and its closed table of codes.

AurraError                     500 internal
├── BadRequest                 400 the request says something that cannot be
├── NotAuthenticated           401 no key, or one that is not accepted
├── PlanLimitExceeded          402 writes are blocked by the plan
├── Forbidden                  403 the key does not allow it: its scope, its ceiling
├── NotFound                   404 nothing of that id is visible to this key
├── TooSlow                    408 the request did not arrive in time
├── Conflict                   409 the state of the thing forbids it
├── PayloadTooLarge            413
├── UnsupportedMedia           415
├── Unprocessable              422 a field is missing or has the wrong type
├── TooManyRequests            429
└── Unavailable                503 a dependency is unreachable; retry
    └── ProviderError          503 (400 when the provider refused the caller's own key or model)

`CODES` lists each code with its status and what the caller should do next; an error with another code cannot be made.
Messages never carry memory content or keys.
"""

from typing import Any, ClassVar

CODES: dict[str, tuple[int, str]] = {
    "malformed_json": (400, "Send one JSON object, encoded as UTF-8."),
    "too_deep": (400, "Nest JSON at most 32 levels deep."),
    "invalid_text": (400, "Remove NUL characters and unpaired surrogates from the text."),
    "unknown_field": (400, "Remove the field, or check its spelling against GET /openapi.json."),
    "out_of_range": (400, "Send a value inside the range that the message names."),
    "invalid_request": (400, "Change the request as the message says."),
    "malformed_query": (400, "Send one GraphQL document; the message names the place."),
    "invalid_query": (400, "Change the query as the message says; GET /graphql in a browser shows what there is."),
    "query_too_large": (400, "Ask for smaller pages, nest less, or ask in several requests."),
    "empty_interval": (400, "Send a valid_to that is later than valid_from."),
    "transaction_in_the_future": (400, "Ask for a transaction that has happened; every answer names the one it read."),
    "invalid_cursor": (400, "Start again without a cursor."),
    "duplicate_header": (400, "Send each of Authorization, Host and Content-Length once."),
    "validation_failed": (400, "Send a value inside the range that the message names."),
    "bad_provider": (400, "Name a provider this server has, and what it needs, in `llm`."),
    "no_secret_key": (400, "Have the operator set AURRA_SECRET_KEYS; `aurra secrets new` makes a key for it."),
    "llm_provider_refused": (400, "Check provider, model, api_key and base_url in `llm`; the provider refused them."),
    "not_authenticated": (401, "Send the header Authorization: Bearer aurra_…"),
    "invalid_key": (401, "Check the key; `aurra keys create` makes a new one."),
    "revoked_key": (401, "Use another key; this one was revoked."),
    "expired_key": (401, "Use another key; this one has expired."),
    "rotated_key": (401, "Use the secret that the rotation answered; the one before it has ended."),
    "invalid_token": (401, "Refresh the token, or connect again; it has ended, or never was one of this service's."),
    "signature_required": (
        401,
        "Sign the request with the key's signing secret, as an SDK does, or as the repository's aurra/signing.md says.",
    ),
    "malformed_signature": (
        401,
        "Send X-Aurra-Key, X-Aurra-Timestamp, X-Aurra-Nonce and X-Aurra-Signature, each once, and no Authorization.",
    ),
    "invalid_signature": (
        401,
        "Check the key id, the signing secret and what is signed against aurra/signing.md in the repository.",
    ),
    "signature_expired": (401, "Set the clock that the timestamp comes from; sign every attempt anew."),
    "nonce_used": (401, "Sign every attempt anew, with a nonce of its own."),
    "plan_limit_exceeded": (402, "Send fewer, wait for the next period, or move the account to a bigger plan."),
    "insufficient_scope": (403, "Use a key that has the scope which the message names."),
    "address_not_allowed": (
        403,
        "Use the key from one of its networks; a proxy between must be in AURRA_TRUSTED_PROXIES.",
    ),
    "exceeds_own_key": (403, "Ask for no more than the key you use may, or use a key that may more."),
    "outgoing_secret": (
        403,
        "Use the key's new secret; the one before it changes no keys in the hours that it has left.",
    ),
    "key_has_ceiling": (
        403,
        "Use a key without a ceiling; one that has it reads memories as they were, and does no more.",
    ),
    "not_found": (404, "Check the id; a key sees only its own account, and one tenant where it is pinned to it."),
    "memory_erased": (404, "Nothing can be done: the memory was erased for good."),
    "no_such_path": (404, "GET / lists every path."),
    "method_not_allowed": (405, "GET / lists every path with its method."),
    "too_slow": (408, "Send the whole request within 10 seconds; the connection was closed."),
    "already_superseded": (409, "Supersede its successor instead."),
    "already_ended": (409, "Send an earlier valid_to."),
    "not_believed": (409, "Assert it again; nothing of it is believed now."),
    "several_pieces": (409, "Name in `version` one of the pieces that `versions` lists."),
    "in_the_way": (409, "Restore the transactions that `in_the_way` lists first, newest first."),
    "lower_trust": (409, "Use a key of the trust that wrote what holds it now, or have a person accept the review."),
    "already_decided": (409, "Nothing is left to do: the review was accepted or rejected before."),
    "stale_review": (409, "Reject it; one of its memories is not believed any more, or was superseded meanwhile."),
    "not_restorable": (409, "Nothing can be done: what was erased is gone for good, and kept turns were no belief."),
    "key_has_ended": (409, "Make a new key; this one was revoked, or has expired."),
    "secret_shown_once": (409, "Rotate the key that `id` names to get another secret, or revoke it."),
    "idempotency_in_flight": (409, "Retry after the seconds in Retry-After; the first request is still running."),
    "body_too_large": (413, "Send less; POST /agent/memories/bulk takes up to 8 MiB."),
    "unsupported_media_type": (415, "Send Content-Type: application/json, without a content encoding."),
    "validation_error": (422, "Send the field with the type that the message names."),
    "idempotency_mismatch": (422, "Use a new Idempotency-Key for a new request."),
    "rate_limited": (429, "Retry after the seconds in Retry-After."),
    "internal": (500, "Retry; if it stays, report the request_id."),
    "llm_provider_error": (503, "Retry after the seconds in Retry-After; the provider did not answer as it should."),
    "stored_key_unreadable": (503, "Send `api_key` anew, or have the operator put the key back that sealed it."),
    "unavailable": (503, "Retry after the seconds in Retry-After."),
    "embedder_unavailable": (503, "Retry after the seconds in Retry-After; nothing was stored."),
    "write_outcome_unknown": (503, "Retry with the same Idempotency-Key; the record tells whether it was stored."),
}


class AurraError(Exception):
    """An error with a code of `CODES`; `detail` is a sentence for a person, or an object with a `message`."""

    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        detail: str | dict[str, Any],
        *,
        code: str | None = None,
        param: str | None = None,
        errors: list[dict[str, Any]] | None = None,
        retry_after: int | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail if isinstance(detail, str) else detail["message"])
        self.detail = detail
        self.code = code or self.default_code
        self.status, self.hint = CODES[self.code]
        self.param = param
        self.errors = errors or []
        self.retry_after = retry_after
        self.extra = extra or {}


class BadRequest(AurraError):
    """400: the request is understood, and says something that cannot be."""

    default_code = "invalid_request"


class NotAuthenticated(AurraError):
    """401: no key, or a key that is not accepted."""

    default_code = "not_authenticated"


class PlanLimitExceeded(AurraError):
    """402: the plan blocks writes. `detail` carries the fields of /plan/status."""

    default_code = "plan_limit_exceeded"


class Forbidden(AurraError):
    """403: the key is known, and lacks the scope or may only read what was known up to a transaction."""

    default_code = "insufficient_scope"


class NotFound(AurraError):
    """404: the same whether the id never was, or belongs to somebody else."""

    default_code = "not_found"


class TooSlow(AurraError):
    """408: the request did not arrive in time; the connection is closed."""

    default_code = "too_slow"


class Conflict(AurraError):
    """409: what is stored forbids the change."""

    default_code = "not_believed"


class PayloadTooLarge(AurraError):
    """413: the body is over the limit of its path."""

    default_code = "body_too_large"


class UnsupportedMedia(AurraError):
    """415: not JSON, or encoded."""

    default_code = "unsupported_media_type"


class Unprocessable(AurraError):
    """422: a field is missing or has the wrong type."""

    default_code = "validation_error"


class TooManyRequests(AurraError):
    """429, with `Retry-After`."""

    default_code = "rate_limited"


class Unavailable(AurraError):
    """503 with `Retry-After`: a dependency did not answer; nothing was stored unless the message says so."""

    default_code = "unavailable"

    def __init__(
        self,
        detail: str | dict[str, Any],
        *,
        code: str | None = None,
        retry_after: int | None = 1,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail, code=code, retry_after=retry_after, extra=extra)


class ProviderError(Unavailable):
    """A model's provider failed; `detail` is the contract's object. `refused`: it is the caller's key or model.

    `is_outage`: the provider did not answer at all, or said that it cannot; another call would likely end alike.
    """

    def __init__(
        self, provider: str, message: str, *, refused: bool = False, answered: bool = False, retry_after: int = 1
    ) -> None:
        super().__init__(
            {"error": "llm_provider_error", "provider": provider, "message": message},
            code="llm_provider_refused" if refused else "llm_provider_error",
            retry_after=None if refused else retry_after,
        )
        self.is_outage = not refused and not answered


class CannotStart(Exception):
    """The service refuses to serve; the message is one sentence for the operator."""
