"""Subjects and their profiles: time.md §4, through HTTP."""

from typing import Any

import pytest

from tests.conftest import Account, HandClock, MakeAccount
from tests.faces.wire import NOWHERE, at, ok, problem, require_memory, same_for_all

SUBJECTS = "/agent/subjects"
PIECE_KEYS = {"memory_id", "version", "decision", "valid_from", "valid_to", "superseded_by"}


async def names(account: Account, **query: Any) -> list[tuple[str, int, list[str]]]:
    """Of each subject its name, how many memories, its attributes."""
    found = (await account.get(SUBJECTS, **query))["subjects"]
    assert all(set(one) == {"subject", "memories", "attributes"} for one in found)
    return [(one["subject"], one["memories"], one["attributes"]) for one in found]


def texts(found: list[dict[str, Any]]) -> list[str]:
    """What each says."""
    return [one["decision"] for one in found]


async def kim(account: Account) -> None:
    """Kim's city over the years, a job with an end, hobbies, and a note."""
    await account.add("Oslo", subject="Kim", attribute="City", valid_from="2020-01-01")
    await account.add("Rome", subject="kim", attribute="city", valid_from="2022-01-01")
    await account.add("Bonn", subject="KIM", attribute="city", valid_from="2100-01-01")
    await account.add("Baker", subject="kim", attribute="job", valid_from="2020-01-01", valid_to="2090-01-01")
    for hobby in ("chess", "tea"):
        await account.add(hobby, subject="kim", attribute="hobby", cardinality="many", valid_from="2021-01-01")
    await account.add("a note", subject="kim", valid_from="2021-01-01")


async def test_subjects_in_the_order_of_their_names(account: Account) -> None:
    """Those that something is believed about, shown as first written, with their attributes."""
    await kim(account)
    await account.add("no subject")
    await account.add("Ada leads", subject="Ada")
    await account.add("Zürich", subject="élan", attribute="place")
    answer = await account.get(SUBJECTS)
    assert set(answer) == {"subjects", "has_more", "next_cursor", "transaction", "as_of", "warnings"}
    assert await names(account) == [("Ada", 1, []), ("Kim", 5, ["City", "hobby", "job"]), ("élan", 1, ["place"])]


async def test_subjects_obey_both_times(account: Account) -> None:
    """As the list of memories does: valid now, valid then, believed then."""
    await kim(account)
    [bo] = (await account.post("/agent/memories", content="Bo cooks", subject="Bo", valid_from="2019-01-01"))[
        "memory_ids"
    ]
    ok(await account.client.delete(f"/memories/{bo}"))
    assert [one[0] for one in await names(account)] == ["Kim"]
    assert await names(account, as_of="2019-06-01") == []
    assert await names(account, as_of="2020-06-01") == [("Kim", 2, ["City", "job"])]
    assert await names(account, as_of="2019-06-01", transaction_as_of=8) == [("Bo", 1, [])]
    assert await names(account, transaction_as_of=8) == [("Bo", 1, []), ("Kim", 7, ["City", "hobby", "job"])]
    assert await names(account, transaction_as_of=1) == [("Kim", 1, ["City"])]
    assert await names(account, transaction_as_of=0) == []


async def test_pages_of_subjects_show_each_once(account: Account) -> None:
    """Cursor pages, read at one moment."""
    expected = [f"subject {letter}" for letter in "abcdefg"]
    for name in reversed(expected):
        await account.add(f"about {name}", subject=name)
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = await account.get(SUBJECTS, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [one["subject"] for one in page["subjects"]]
        assert page["transaction"]["id"] == 7
        cursor = page["next_cursor"]
        await account.add(f"written meanwhile {len(seen)}", subject=f"subject b{len(seen)}")
    assert seen == expected


@pytest.mark.parametrize("name", ["kim", "KIM", "%20Kim%20", "kim/"])
async def test_a_profile_shows_each_attribute_at_both_times(account: Account, name: str) -> None:
    """Current values, the whole history, what is due to start and to end; found however the name is written."""
    await kim(account)
    profile = await account.get(f"{SUBJECTS}/{name}")
    assert set(profile) == {"subject", "attributes", "memories", "transaction", "as_of", "warnings"}
    assert profile["subject"] == "Kim"
    city, hobby, job = profile["attributes"]
    assert set(city) == {"attribute", "cardinality", "current", "history", "starting", "ending"}
    assert [(one["attribute"], one["cardinality"]) for one in (city, hobby, job)] == [
        ("City", "one"),
        ("hobby", "many"),
        ("job", "one"),
    ]
    assert texts(city["current"]) == ["Rome"]
    assert texts(city["history"]) == ["Oslo", "Rome", "Bonn"]
    assert texts(city["starting"]) == ["Bonn"]
    assert texts(city["ending"]) == ["Rome"]
    assert texts(hobby["current"]) == texts(hobby["history"]) == ["chess", "tea"]
    assert (hobby["starting"], hobby["ending"]) == ([], [])
    assert (texts(job["current"]), texts(job["ending"])) == (["Baker"], ["Baker"])
    assert texts(profile["memories"]) == ["a note"]
    for memory in (*city["current"], *hobby["current"], *profile["memories"]):
        require_memory(memory)
        assert memory["temporal"]["is_current"] is True
    for piece in (*city["history"], *city["starting"], *city["ending"]):
        assert set(piece) == PIECE_KEYS
    oslo, rome, bonn = city["history"]
    assert (oslo["superseded_by"], rome["superseded_by"], bonn["superseded_by"]) == (
        rome["memory_id"],
        bonn["memory_id"],
        None,
    )


async def test_a_profile_obeys_both_times(account: Account, hand_clock: HandClock) -> None:
    """`as_of` moves what is current, `transaction_as_of` what is believed; alone it looks at its own instant."""
    hand_clock.at = at("2030-01-01T00:00:00")
    await kim(account)
    hand_clock.at = at("2110-01-01T00:00:00")
    await account.add("Lima", subject="kim", attribute="city", valid_from="2105-01-01")

    async def cities(**query: Any) -> tuple[list[str], list[str], list[str]]:
        city = (await account.get(f"{SUBJECTS}/kim", **query))["attributes"][0]
        return texts(city["current"]), texts(city["history"]), texts(city["starting"])

    assert await cities() == (["Lima"], ["Oslo", "Rome", "Bonn", "Lima"], [])
    assert await cities(as_of="2021-01-01") == (["Oslo"], ["Oslo", "Rome", "Bonn", "Lima"], ["Rome", "Bonn", "Lima"])
    assert await cities(transaction_as_of=7) == (["Rome"], ["Oslo", "Rome", "Bonn"], ["Bonn"])
    assert await cities(transaction_as_of=1, as_of="2107-01-01") == (["Oslo"], ["Oslo"], [])
    then = await account.get(f"{SUBJECTS}/kim", transaction_as_of=7)
    assert then["as_of"] == then["transaction"]["at"]
    assert await account.get(f"{SUBJECTS}/kim", transaction_as_of=7, as_of=then["as_of"]) == then


async def test_what_is_retracted_is_in_no_profile(account: Account) -> None:
    """A subject whose memories are all retracted is known, and nothing is believed about it."""
    memory_id = await account.add("Oslo", subject="kim", attribute="city")
    ok(await account.client.delete(f"/memories/{memory_id}"))
    profile = await account.get(f"{SUBJECTS}/kim")
    assert (profile["attributes"], profile["memories"]) == ([], [])
    assert texts((await account.get(f"{SUBJECTS}/kim", transaction_as_of=1))["attributes"][0]["history"]) == ["Oslo"]
    assert await names(account) == []


async def test_names_may_be_anything(account: Account) -> None:
    """Slashes, percent signs, question marks, any script: as the URL's encoding says."""
    for name, path in (
        ("acme/kim", "acme%2Fkim"),
        ("a//b", "a%2F%2Fb"),
        ("50% ?#", "50%25%20%3F%23"),
        ("José", "JOS%C3%89"),
        ("Straße", "STRASSE"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("..", "%2E%2E"),
    ):
        await account.add(f"about {name}", subject=name)
        profile = await account.get(f"{SUBJECTS}/{path}")
        assert (profile["subject"], texts(profile["memories"])) == (name, [f"about {name}"])


async def test_an_unknown_subject_is_404(account: Account, make_account: MakeAccount) -> None:
    """Of nothing, of another account or tenant, not yet written: the same 404."""
    other = await make_account()
    await other.add("of another account", subject="foreign")
    await account.add("of the south", subject="southerner", tenant_id="south")
    await account.add("of none", subject="kim")
    pinned = await make_account(of=account.row, tenant_id="north")
    unknown = ("nobody", "foreign", "southerner", NOWHERE, "%00", "%20", "%FF", "x" * 5000)
    answers = [await account.client.get(f"{SUBJECTS}/{one}") for one in unknown]
    answers += [await pinned.client.get(f"{SUBJECTS}/{one}") for one in ("kim", *unknown)]
    answers.append(await account.client.get(f"{SUBJECTS}/kim", params={"transaction_as_of": 1}))
    same_for_all(answers)


async def test_subjects_are_of_one_tenant(account: Account, make_account: MakeAccount) -> None:
    """The default tenant unless another is named; a pinned key's own."""
    await account.add("north", subject="kim", tenant_id="north")
    await account.add("none", subject="kim")
    north = await make_account(of=account.row, tenant_id="north")
    for one, query, text in ((account, {}, "none"), (account, {"tenant_id": "north"}, "north"), (north, {}, "north")):
        assert [name[:2] for name in await names(one, **query)] == [("kim", 1)]
        assert texts((await one.get(f"{SUBJECTS}/kim", **query))["memories"]) == [text]
    for path in (SUBJECTS, f"{SUBJECTS}/kim"):
        problem(await north.client.get(path, params={"tenant_id": "south"}), 404, "not_found")
