"""Extractive answers through HTTP: whom they are about, which time, and sentence by sentence."""

from typing import Any

import pytest

from tests.conftest import Account
from tests.faces.test_models import answering, llm
from tests.faces.wire import MEMORIES, QUERY
from tests.providers.scripted_provider import ScriptedProvider


@pytest.mark.parametrize("question", ["Where does Lee live?", "where does lee live", "What is Lee's city?"])
async def test_of_somebody_unknown_nothing_is_answered(account: Account, question: str) -> None:
    """Of Lee nothing is stored: what is known of Kim is no answer, however near; also not beside what Lee likes."""
    kim = await account.add("Kim lives in Oslo", subject="kim", attribute="city")
    await account.add("Kim lives in the city of Oslo")
    assert (await account.post(QUERY, question=question))["refused"] is True
    await account.add("Lee likes tea", subject="lee")
    answer = await account.post(QUERY, question=question)
    assert "Oslo" not in answer["answer"]
    about_kim = await account.post(QUERY, question=question.replace("Lee", "Kim").replace("lee", "kim"))
    assert about_kim["refused"] is False and "Oslo" in about_kim["answer"]
    assert kim in [one["memory_id"] for one in about_kim["citations"]]


async def test_of_two_who_talk_the_wrong_one_is_not_answered(account: Account) -> None:
    """The question names Kim, and Alva said it."""
    turns = [
        {"role": "user", "name": "Alva", "content": "I adopted a greyhound from the shelter last spring."},
        {"role": "assistant", "name": "Kim", "content": "How lovely! I only have a cactus."},
    ]
    await account.post(MEMORIES, messages=turns, session_id="s", extraction="verbatim")
    wrong = await account.post(QUERY, question="What did Kim adopt from the shelter?")
    right = await account.post(QUERY, question="What did Alva adopt from the shelter?")
    assert (wrong["refused"], right["refused"]) == (True, False)
    assert "greyhound" in right["answer"]


async def test_a_time_in_the_question_rules_out_what_is_of_another(account: Account) -> None:
    """Without `as_of`: Rome began in 2025, so of 2024 there is no answer; a memory that names the year is one; asked as
    of 2024, the past itself answers."""
    await account.add("Kim lives in Oslo", subject="kim", attribute="city", valid_from="2020-01-01")
    await account.add("Kim lives in Rome", subject="kim", attribute="city", valid_from="2025-03-01")
    assert "Rome" in (await account.post(QUERY, question="Where does Kim live?"))["answer"]
    assert "Rome" in (await account.post(QUERY, question="Where did Kim live in 2025?"))["answer"]
    for question in ("Where did Kim live in 2024?", "Where did Kim live in February 2025?"):
        refused = await account.post(QUERY, question=question)
        assert refused["refused"] is True and "Rome" not in refused["answer"]
    then = await account.post(QUERY, question="Where did Kim live in 2024?", as_of="2024-06-01")
    assert then["answer"] == "As of 1 June 2024, Kim lives in Oslo."
    await account.add("Kim lived in Bergen in 2024")
    assert "Bergen" in (await account.post(QUERY, question="Where did Kim live in 2024?"))["answer"]


async def test_an_answer_cites_three_at_most_and_tells_its_sentences(account: Account) -> None:
    """Each sentence with its citation; all are supported, being quotes."""
    for number in range(6):
        await account.add(f"Kim lives in Oslo, house {number}")
    answer = await account.post(QUERY, question="Where does Kim live?")
    assert len(answer["sentences"]) == 3
    assert [one["text"] for one in answer["sentences"]] == [f"{one}." for one in quoted(answer)]
    assert all(one["supported"] and one["unsupported"] == [] for one in answer["sentences"])


def quoted(answer: dict[str, Any]) -> list[str]:
    return [one["quote"] for one in answer["citations"] if one["cited_by_llm"]]


async def test_a_models_sentences_are_told_apart(account: Account) -> None:
    """What is unsupported is named; strict drops it, and with nothing left refuses honestly; so does a model that says
    nothing."""
    await account.add("Kim lives in Oslo")
    texts = [{"text": "Kim lives in Oslo [1].", "citations": [1]}, {"text": "Lee pays 900.", "citations": [1]}]
    question = "Where does Kim live?"
    async with ScriptedProvider(answering(answer={"sentences": texts})) as provider:
        loose = await account.post(QUERY, question=question, llm=llm(provider))
        strict = await account.post(QUERY, question=question, llm=llm(provider), strict=True)
    assert loose["grounded"] is False
    assert loose["sentences"] == [
        {"text": "Kim lives in Oslo.", "citations": [1], "supported": True, "unsupported": []},
        {"text": "Lee pays 900.", "citations": [1], "supported": False, "unsupported": ["900", "Lee"]},
    ]
    assert strict["grounded"] is True and strict["sentences"] == loose["sentences"][:1]
    for said in (texts[1:], []):
        async with ScriptedProvider(answering(answer={"sentences": said})) as provider:
            refused = await account.post(QUERY, question=question, llm=llm(provider), strict=True)
        assert (refused["refused"], refused["sentences"], refused["grounded"]) == (True, [], True)
        assert "900" not in refused["answer"]
