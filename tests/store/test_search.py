"""Search on a real PostgreSQL: what may be found, that nothing is lost, and that the past is found again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aurra.context import Service
from aurra.ranking import Candidate
from aurra.store import search
from aurra.store.search import JOINED, WIDTH, Scope
from tests.conftest import Account

NOTHING_LIKE_IT = "xyzzy plugh"


async def found(account: Account, query: str, **fields: Any) -> list[str]:
    """What a search says, best first."""
    answer = await account.post("/agent/search", query=query, **fields)
    return [memory["decision"] for memory in answer["memories"]]


async def candidates(
    service: Service, account: Account, query: str, vector: NDArray[np.float32] | None = None
) -> list[Candidate]:
    """The candidates of the default tenant, now."""
    scope = Scope(tenant_id="", valid_at=None, number=None)
    model = service.embedder.name if service.embedder else ""
    async with service.database.read(account.row.id) as tx:
        return (await search.candidates(tx, scope, query, vector=vector, model=model, limit=10))[0]


async def store(account: Account, *contents: str) -> None:
    """Each becomes a memory of the default tenant."""
    for start in range(0, len(contents), 500):
        batch = [{"content": content} for content in contents[start : start + 500]]
        await account.post("/agent/memories/bulk", memories=batch)


async def test_no_search_finds_fewer_than_there_are(account: Account) -> None:
    """min(limit, what qualifies), also for a question that nothing matches; never what is not believed or not valid."""
    current = [f"fact {number} of the harbour" for number in range(7)]
    await store(account, *current)
    await account.add("the harbour is red", subject="harbour", attribute="colour")
    await account.add("the harbour is blue", subject="harbour", attribute="colour")
    await account.add("the harbour was closed", valid_from="2020-01-01", valid_to="2020-02-01")
    await account.add("the harbour will open", valid_from="2999-01-01")
    await account.add("the harbour of somebody else", tenant_id="other")
    retracted = await account.add("the harbour is a lie")
    assert (await account.client.delete(f"/memories/{retracted}")).status_code == 200
    qualify = {*current, "the harbour is blue"}
    for query in ("Which colour is the harbour?", NOTHING_LIKE_IT, "?"):
        for limit in range(1, 12):
            decisions = await found(account, query, limit=limit)
            assert len(decisions) == len(set(decisions)) == min(limit, len(qualify))
            assert set(decisions) <= qualify


async def test_a_wide_limit_finds_everything(account: Account) -> None:
    """Also beyond the number of candidates that a search looks at by default."""
    contents = [f"note {number}" for number in range(WIDTH + JOINED)]
    await store(account, *contents)
    assert set(await found(account, "note 3", limit=1000)) == set(contents)
    assert len(await found(account, NOTHING_LIKE_IT, limit=WIDTH + 7)) == WIDTH + 7


async def test_nearness_is_exact(account: Account, service: Service) -> None:
    """Brute force agrees on the cosines, and none of the nearest is missing. Stored vectors have 11 bits a number."""
    contents = [f"{word} number {number}" for number in range(70) for word in ("tree", "ship", "song")]
    await store(account, *contents)
    assert service.embedder is not None
    vectors = await service.embedder.embed(contents)
    asked: NDArray[np.float32] = (vectors[3] - 2 * vectors[100]).astype(np.float32)
    asked = asked / np.float32(np.sqrt(asked @ asked))
    cosines = {text: float(vector @ asked) for text, vector in zip(contents, vectors, strict=True)}
    similar = {one.text: one.similarity for one in await candidates(service, account, NOTHING_LIKE_IT, asked)}
    assert len(similar) == WIDTH
    for text, similarity in similar.items():
        assert similarity is not None
        assert abs(similarity - cosines[text]) < 2e-3
    nearest = sorted(cosines, key=lambda text: -cosines[text])[: WIDTH - 20]
    assert set(nearest) <= set(similar)


async def test_words_are_counted_as_they_stand(account: Account, service: Service) -> None:
    """Each candidate has the question's lexemes with their counts; the corpus, those that nothing has too."""
    await store(account, "a ship, a second ship and a song", "trees", "the song's end")
    scope = Scope(tenant_id="", valid_at=None, number=None)
    async with service.database.read(account.row.id) as tx:
        pieces, corpus = await search.candidates(
            tx, scope, "Ships, songs or a unicorn?", vector=None, model="", limit=10
        )
    assert {one.text: dict(one.lexemes) for one in pieces} == {
        "a ship, a second ship and a song": {"ship": 2, "song": 1},
        "trees": {},
        "the song's end": {"song": 1},
    }
    assert dict(corpus.frequencies) == {"ship": 1, "song": 2, "unicorn": 0}
    assert corpus.pieces == 3
    assert all(one.similarity is None for one in pieces)


async def test_the_best_bring_their_neighbours_along(account: Account, service: Service) -> None:
    """A turn that matches nothing is a candidate when the one before it matches; turns are numbered as told."""
    talk = [f"{'Did the unicorn come?' if number == 50 else 'well'} {number}" for number in range(100)]
    for start in (0, 40):
        messages = [{"role": "user", "content": text} for text in talk[start : start + 40 if start == 0 else None]]
        await account.post("/agent/memories", messages=messages, extraction="verbatim", session_id="s")
    await store(account, *[f"filler {number}" for number in range(WIDTH)])
    pieces = {one.text: one for one in await candidates(service, account, "unicorn")}
    assert {talk[49], talk[50], talk[51]} <= set(pieces)
    turns = [pieces[talk[number]].turn for number in (49, 50, 51)]
    assert turns == [turns[0], turns[0] + 1, turns[0] + 2]


async def test_the_past_is_found_again(account: Account) -> None:
    """With both numbers of an earlier answer, a search returns the same, in the same order, with the same scores."""
    await store(account, *[f"the ship {number} sailed" for number in range(20)], "the song of the ship")
    await account.add("the ship is red", subject="ship", attribute="colour")
    before = await account.post("/agent/search", query="Which colour is the ship?", as_of="2030-01-01", explain=True)
    await account.add("the ship is blue", subject="ship", attribute="colour")
    await store(account, *[f"another ship {number} of that colour" for number in range(30)])
    lost = await account.post("/agent/search", query="Which colour is the ship?", as_of="2030-01-01")
    again = await account.post(
        "/agent/search",
        query="Which colour is the ship?",
        as_of="2030-01-01",
        transaction_as_of=before["transaction"]["id"],
        explain=True,
    )
    assert before["memories"][0]["decision"] == "the ship is red"
    assert "the ship is red" not in [memory["decision"] for memory in lost["memories"]]
    assert ranking_of(again) == ranking_of(before)


def ranking_of(answer: dict[str, Any]) -> list[tuple[str, float, dict[str, float]]]:
    """Ids, scores and their shares."""
    return [(memory["id"], memory["score"], memory["signals"]) for memory in answer["memories"]]


async def test_another_account_finds_nothing(account: Account, make_account: Any) -> None:
    """Whoever else has the same tenant's name sees none of it."""
    await store(account, "the ship is red")
    other: Account = await make_account()
    assert await found(other, "Which colour is the ship?") == []
