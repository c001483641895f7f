"""Every provider that speaks OpenAI's chat completions, at any base URL."""

import re
from typing import Any, Literal

import httpx2
import msgspec
from openai import AsyncOpenAI

from aurra.providers.base import Completion, Secret, outside
from aurra.providers.llm import http, structured
from aurra.providers.llm.retry import Failure, failure_of, unusable, within_budget

Rung = Literal["json_schema", "json_object", "tool_call", "repaired"]

LADDER: tuple[Rung, ...] = ("json_schema", "json_object", "tool_call", "repaired")
"""How a JSON object is asked for, the surest first; the last asks in words alone."""

REMEMBERED = 256
"""End points and models whose rung is remembered."""

_UNSUPPORTED: dict[Rung, re.Pattern[bytes]] = {
    "json_schema": re.compile(rb"response.?(format|schema)|json.?(schema|mode)|structured.?output|grammar", re.I),
    "json_object": re.compile(rb"response.?(format|schema)|json.?(object|mode)|structured.?output|grammar", re.I),
    "tool_call": re.compile(rb"\btools?\b|tool.?(choice|use|call)|function", re.I),
}

_first_rungs: dict[int, Rung] = {}
"""By the hash of base URL and model, which may be long; those that begin at the top are left out."""


class _Function(msgspec.Struct):
    arguments: str | dict[str, Any] = ""


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None


def open_client(
    base_url: str, api_key: Secret | None, budget_seconds: float, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncOpenAI:
    """A client of that address, which repeats nothing by itself and sends the key nowhere else."""
    client = http.open_client(budget_seconds, transport)
    # Without any key the library would take the operator's from the environment.
    key = api_key.reveal() if api_key else "none"
    opened = AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=client.timeout, http_client=client)
    http.seal(client, opened.auth_headers if api_key else {})
    return opened


class OpenAIModel:
    """A LanguageModel over `AsyncOpenAI`."""

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        base_url: str,
        api_key: Secret | None,
        extra: dict[str, Any],
        budget_seconds: float,
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        self.provider = provider
        self.model = model
        self._base_url = base_url
        self._extra = extra
        self._budget_seconds = budget_seconds
        self._client = open_client(base_url, api_key, budget_seconds, transport)

    async def complete(self, *, system: str, user: str, schema: dict[str, Any], schema_name: str) -> Completion:
        """One object that fits the schema, by the surest rung that this end point and model have."""
        known_as = hash((self._base_url, self.model))
        rung: Rung = _first_rungs.get(known_as, LADDER[0])
        in_words = False

        async def attempt() -> Completion | Failure:
            nonlocal rung, in_words
            while True:
                body = request_body(rung, system, user, schema, schema_name, in_words=in_words)
                outcome = await self._ask(rung, body, schema)
                if outcome is not None:
                    break
                rung = LADDER[LADDER.index(rung) + 1]
            if isinstance(outcome, Completion):
                _remember(known_as, rung)
            else:
                # Some servers take `response_format` and ignore it.
                in_words = in_words or outcome.answered
            return outcome

        return await within_budget(self.provider, self._budget_seconds, attempt)

    async def close(self) -> None:
        """Closes connections."""
        await self._client.close()

    async def _ask(self, rung: Rung, body: dict[str, Any], schema: dict[str, Any]) -> Completion | Failure | None:
        """What one request gave; None when the provider says that it does not have this rung."""
        outside()
        try:
            response = await self._client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body={**self._extra, "model": self.model, **body},
            )
        except Exception as error:  # whatever a stranger's server provokes becomes a Failure
            return None if _is_unsupported(rung, error) else failure_of(error)
        return _completion(rung, response.content, schema)


def request_body(
    rung: Rung, system: str, user: str, schema: dict[str, Any], schema_name: str, *, in_words: bool
) -> dict[str, Any]:
    """The part of the request that depends on the rung: messages, and how the object is asked for."""
    if in_words or rung in ("json_object", "repaired"):
        system = structured.spelled_out(system, schema)
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    named: dict[str, Any] = {"name": schema_name}
    if structured.is_strict(schema):
        named["strict"] = True
    match rung:
        case "json_schema":
            return {
                "messages": messages,
                "response_format": {"type": "json_schema", "json_schema": {**named, "schema": schema}},
            }
        case "json_object":
            return {"messages": messages, "response_format": {"type": "json_object"}}
        case "tool_call":
            return {
                "messages": messages,
                "tools": [{"type": "function", "function": {**named, "parameters": schema}}],
                "tool_choice": {"type": "function", "function": {"name": schema_name}},
            }
        case "repaired":
            return {"messages": messages}


def _completion(rung: Rung, body: bytes, schema: dict[str, Any]) -> Completion | Failure:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (ValueError, RecursionError):
        return unusable("answered with no valid JSON")
    if not answer.choices or (message := answer.choices[0].message) is None:
        return unusable("answered with nothing")
    finish_reason = answer.choices[0].finish_reason
    if message.refusal or finish_reason == "content_filter":
        return Failure("the model refused", answered=True)
    try:
        value, obtained = _value(rung, message, schema)
    except structured.Unusable as fault:
        return unusable("answered with JSON that was cut off" if finish_reason == "length" else str(fault))
    usage = answer.usage or _Usage()
    return Completion(
        value=value,
        rung=obtained,
        input_tokens=usage.prompt_tokens or 0,
        output_tokens=usage.completion_tokens or 0,
    )


def _value(rung: Rung, message: _Message, schema: dict[str, Any]) -> tuple[dict[str, Any], Rung]:
    """The object and how it was obtained, from the tool call where there is one, else from the text."""
    if message.tool_calls and len(message.tool_calls) > 1:
        raise structured.Unusable("answered with several JSON objects")
    function = message.tool_calls[0].function if message.tool_calls else None
    if function is not None and isinstance(function.arguments, dict):
        return structured.fitted(function.arguments, schema), "tool_call"
    if function is not None:
        value, was_repaired = structured.read(str(function.arguments), schema)
        return value, "repaired" if was_repaired else "tool_call"
    if not message.content:
        raise structured.Unusable("answered with nothing")
    value, was_repaired = structured.read(message.content, schema)
    return value, "repaired" if was_repaired or rung == "tool_call" else rung


def _is_unsupported(rung: Rung, error: Exception) -> bool:
    response = getattr(error, "response", None)
    if rung not in _UNSUPPORTED or not isinstance(response, httpx2.Response):
        return False
    # 404 and 422 are what gateways answer for an end point, or a field, that they have not got.
    return response.status_code in (400, 404, 422) and bool(_UNSUPPORTED[rung].search(response.content))


def _remember(known_as: int, rung: Rung) -> None:
    if rung == LADDER[0]:
        return
    _first_rungs.pop(known_as, None)
    _first_rungs[known_as] = rung
    if len(_first_rungs) > REMEMBERED:
        del _first_rungs[next(iter(_first_rungs))]
