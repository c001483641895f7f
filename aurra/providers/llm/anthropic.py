"""Anthropic's messages; the object comes back as the input of a tool that must be called."""

import logging
from typing import Any

import httpx2
import msgspec

from aurra.providers.base import Completion, Secret, outside
from aurra.providers.llm import http, structured
from aurra.providers.llm.retry import Failure, failure_of, unusable, within_budget

MAX_TOKENS = 4096
"""Of an answer, where `extra` names no `max_tokens`; Anthropic wants a number."""


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    input: Any = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Answer(msgspec.Struct):
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None


class AnthropicModel:
    """A LanguageModel over `AsyncAnthropic`."""

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        base_url: str,
        api_key: Secret,
        extra: dict[str, Any],
        budget_seconds: float,
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        """Raises ImportError where the extra `anthropic` is not installed."""
        from anthropic import AsyncAnthropic

        # At DEBUG the library logs requests.
        logging.getLogger("anthropic").setLevel(logging.WARNING)
        self.provider = provider
        self.model = model
        self._extra = extra
        self._budget_seconds = budget_seconds
        client = http.open_client(budget_seconds, transport)
        self._client = AsyncAnthropic(
            api_key=api_key.reveal(),
            base_url=base_url,
            max_retries=0,
            timeout=client.timeout,
            http_client=client,
            open_telemetry=False,
        )
        http.seal(client, self._client.auth_headers)

    async def complete(self, *, system: str, user: str, schema: dict[str, Any], schema_name: str) -> Completion:
        """One object that fits the schema."""
        body = {
            "max_tokens": MAX_TOKENS,
            **self._extra,
            "model": self.model,
            "system": system,
            "messages": [{"role": "user", "content": user}],
            "tools": [{"name": schema_name, "description": "Takes the answer.", "input_schema": schema}],
            "tool_choice": {"type": "tool", "name": schema_name, "disable_parallel_tool_use": True},
        }

        async def attempt() -> Completion | Failure:
            outside()
            try:
                response = await self._client.post("/v1/messages", cast_to=httpx2.Response, body=body)
            except Exception as error:  # whatever a stranger's server provokes becomes a Failure
                return failure_of(error)
            return _completion(response.content, schema)

        return await within_budget(self.provider, self._budget_seconds, attempt)

    async def close(self) -> None:
        """Closes connections."""
        await self._client.close()


def _completion(body: bytes, schema: dict[str, Any]) -> Completion | Failure:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (ValueError, RecursionError):
        return unusable("answered with no valid JSON")
    if answer.stop_reason == "refusal":
        return Failure("the model refused", answered=True)
    if not answer.content:
        return unusable("answered with nothing")
    try:
        value, rung = _value(answer.content, schema)
    except structured.Unusable as fault:
        return unusable("answered with JSON that was cut off" if answer.stop_reason == "max_tokens" else str(fault))
    usage = answer.usage or _Usage()
    return Completion(
        value=value,
        rung=rung,
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
    )


def _value(content: list[_Block], schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The input of the first tool use; where the model called none, the object in its text."""
    for block in content:
        if block.type == "tool_use":
            return structured.fitted(block.input, schema), "tool_call"
    value, _ = structured.read("".join(block.text or "" for block in content if block.type == "text"), schema)
    return value, "repaired"
