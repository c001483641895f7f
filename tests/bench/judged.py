"""Answers by a model, judged by the same model: optional, since it needs a key.

Set BENCH_LLM_PROVIDER, BENCH_LLM_MODEL, BENCH_LLM_API_KEY and, where needed, BENCH_LLM_BASE_URL.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from aurra.errors import ProviderError
from aurra.providers.base import ModelChoice, Secret
from aurra.providers.llm import open_model
from tests.bench.locomo import ADVERSARIAL, Asked
from tests.bench.running import Caller, Failed

_SYSTEM = """You grade an answer to a question against the expected answer. It is correct when it says the same, in any
words and any date format, however much it adds that does not contradict. Where nothing is expected, the right answer is
to say that it is not known."""
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["correct"],
    "properties": {"correct": {"type": "boolean"}},
}


def chosen() -> dict[str, str] | None:
    """The model as a request names it; None where the environment has none."""
    names = ("provider", "model", "api_key", "base_url")
    given = {name: value for name in names if (value := os.environ.get(f"BENCH_LLM_{name.upper()}"))}
    return given if "model" in given else None


def answers(caller: Caller, llm: dict[str, str], asked: Sequence[tuple[str, Asked]]) -> list[str]:
    """What the service answers to each (tenant, question) with the model; empty where the provider failed."""
    return [_answer(caller, llm, tenant, question) for tenant, question in asked]


def _answer(caller: Caller, llm: dict[str, str], tenant: str, question: Asked) -> str:
    try:
        return caller.post("/agent/query", question=question.text, tenant_id=tenant, limit=20, llm=llm)["answer"]
    except Failed:
        return ""


def correct(llm: dict[str, str], asked: Sequence[Asked], answered: Sequence[str]) -> list[bool]:
    """The model's judgement of each answer."""
    return asyncio.run(_judge(llm, asked, answered))


async def _judge(llm: dict[str, str], asked: Sequence[Asked], answered: Sequence[str]) -> list[bool]:
    model = open_model(
        ModelChoice(
            provider=llm.get("provider", "openai"),
            model=llm["model"],
            api_key=Secret(llm["api_key"]) if "api_key" in llm else None,
            base_url=llm.get("base_url"),
        )
    )
    try:
        verdicts: list[bool] = []
        for question, answer in zip(asked, answered, strict=True):
            expected = "" if question.category == ADVERSARIAL else question.answer
            user = f"Question: {question.text}\nExpected: {expected or 'nothing is known'}\nAnswer: {answer}"
            try:
                graded = await model.complete(system=_SYSTEM, user=user, schema=_SCHEMA, schema_name="grade")
            except ProviderError as error:
                raise Failed(f"the judge failed: {error}") from error
            verdicts.append(bool(graded.value["correct"]))
        return verdicts
    finally:
        await model.close()
