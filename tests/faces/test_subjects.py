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
    assert all(set(one) == {"subject", "external_id", "memories", "attributes"} for one in found)
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
    assert set(profile) == {"subject", "external_id", "attributes", "memories", "transaction", "as_of", "warnings"}
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


# ---- found by name, or by the caller's own id


async def label(account: Account, subject: str, external_id: str | None, **fields: Any) -> dict[str, Any]:
    """The answer to giving a subject its id."""
    body = {"external_id": external_id, **fields}
    return ok(await account.client.patch(f"{SUBJECTS}/{subject}", json=body))


async def found(account: Account, **query: Any) -> list[str]:
    """Names of the subjects that a query finds."""
    return [one[0] for one in await names(account, **query)]


async def test_a_subject_is_known_by_an_id_of_the_callers(account: Account) -> None:
    """Given, changed, taken away; shown in the list and in the profile, at every moment; no transaction of its own."""
    await account.add("Kim leads", subject="Kim")
    await account.add("Ada leads", subject="Ada")
    answer = await label(account, "KIM", "crm-7")
    assert set(answer) == {"subject", "external_id", "tenant_id", "transaction", "warnings"}
    assert (answer["subject"], answer["external_id"], answer["transaction"]["id"]) == ("Kim", "crm-7", 2)

    async def shown() -> list[str | None]:
        listed = (await account.get(SUBJECTS))["subjects"]
        profile = await account.get(f"{SUBJECTS}/kim", transaction_as_of=1)
        return [*(one["external_id"] for one in listed), profile["external_id"]]

    assert await shown() == [None, "crm-7", "crm-7"]
    await label(account, "kim", "crm-8")
    assert await shown() == [None, "crm-8", "crm-8"]
    assert (await label(account, "kim", None))["external_id"] is None
    assert (await label(account, "kim", None))["transaction"]["id"] == 2
    assert await shown() == [None, None, None]
    assert (await account.get("/agent/transactions/verify"))["ok"]


async def test_subjects_are_found_by_a_part_of_the_name(account: Account) -> None:
    """Anywhere in it, however it is written; what looks like a wildcard is itself; in the order of the names."""
    for name in ("Kim Larsen", "Larsson", "50% Club", "a_b", "axb", "Straße 7", "c\\d"):
        await account.add(f"about {name}", subject=name)
    assert await found(account, query="LARS") == ["Kim Larsen", "Larsson"]
    assert await found(account, query="im  lar") == ["Kim Larsen"]
    assert await found(account, query="strasse") == ["Straße 7"]
    assert await found(account, query="%") == ["50% Club"]
    assert await found(account, query="a_b") == ["a_b"]
    assert await found(account, query="c\\d") == ["c\\d"]
    assert await found(account, query="nobody") == []
    assert len(await found(account, query=" ")) == 7
    page = await account.get(SUBJECTS, query="lars", limit=1)
    assert page["has_more"] is True
    rest = await account.get(SUBJECTS, query="lars", cursor=page["next_cursor"])
    assert [one["subject"] for one in (*page["subjects"], *rest["subjects"])] == ["Kim Larsen", "Larsson"]


async def test_subjects_are_found_by_the_callers_id(account: Account) -> None:
    """Exactly: by `query` beside the names, by `external_id` alone; several may share one; both must hold together."""
    for name in ("Kim", "Ada", "Bo", "crm-7 desk"):
        await account.add(f"about {name}", subject=name, attribute="note")
    for name, external_id in (("kim", "CRM-7"), ("ada", "CRM-7"), ("bo", "CRM-77")):
        await label(account, name, external_id)
    assert await found(account, external_id="CRM-7") == ["Ada", "Kim"]
    assert await found(account, external_id="crm-7") == []
    assert await found(account, query="CRM-7") == ["Ada", "crm-7 desk", "Kim"]
    assert await found(account, query="kim", external_id="CRM-7") == ["Kim"]
    assert await found(account, query="CRM-7", external_id="CRM-7") == ["Ada", "Kim"]
    assert await found(account, query="bo", external_id="CRM-7") == []
    assert (await names(account, external_id="CRM-77")) == [("Bo", 1, ["note"])]
    page = await account.get(SUBJECTS, external_id="CRM-7", limit=1)
    rest = await account.get(SUBJECTS, external_id="CRM-7", cursor=page["next_cursor"])
    assert [one["subject"] for one in (*page["subjects"], *rest["subjects"])] == ["Ada", "Kim"]


async def test_only_what_is_believed_at_the_moment_is_found(account: Account) -> None:
    """As the whole list: by name and by id alike."""
    memory = await account.add("Kim leads", subject="Kim", valid_from="2020-01-01")
    await label(account, "kim", "7")
    ok(await account.client.delete(f"/memories/{memory}"))
    for query in ({"query": "kim"}, {"external_id": "7"}):
        assert await found(account, **query) == []
        assert await found(account, **query, transaction_as_of=1) == ["Kim"]
        assert await found(account, **query, transaction_as_of=1, as_of="2019-01-01") == []


async def test_what_was_never_a_subject_has_no_id(account: Account, make_account: MakeAccount) -> None:
    """Of nothing, of another account or tenant: the same 404; a wrong body is named; ids are of one tenant."""
    await account.add("of none", subject="kim")
    await account.add("of the south", subject="southerner", tenant_id="south")
    pinned = await make_account(of=account.row, tenant_id="north")
    other = await make_account()
    asked = [(account, "nobody"), (account, "southerner"), (pinned, "kim"), (other, "kim"), (account, "%00")]
    same_for_all([await one.client.patch(f"{SUBJECTS}/{name}", json={"external_id": "7"}) for one, name in asked])
    for body, status in (({}, 422), ({"external_id": " "}, 400), ({"external_id": "x" * 701}, 400)):
        assert problem(await account.client.patch(f"{SUBJECTS}/kim", json=body), status)["param"] == "external_id"
    await account.add("north", subject="kim", tenant_id="north")
    await label(pinned, "kim", "of the north")
    assert await found(account, external_id="of the north") == []
    assert await found(account, external_id="of the north", tenant_id="north") == ["kim"]
    reader = await make_account(of=account.row, scopes="read_only")
    problem(await reader.client.patch(f"{SUBJECTS}/kim", json={"external_id": "7"}), 403, "insufficient_scope")


async def test_memories_are_listed_by_the_callers_id(account: Account) -> None:
    """Exactly, with the other filters and the cursor; of the tenant asked."""
    for number in range(5):
        await account.add(f"about order {number}", external_id="o-1", topic="A" if number % 2 else "B")
    await account.add("another", external_id="o-2")
    await account.add("of acme", external_id="o-1", tenant_id="acme")
    assert await account.decisions(external_id="o-1") == [f"about order {number}" for number in (4, 3, 2, 1, 0)]
    assert await account.decisions(external_id="o-1", topic="A") == ["about order 3", "about order 1"]
    assert await account.decisions(external_id="O-1") == []
    assert await account.decisions(external_id="o-1", tenant_id="acme") == ["of acme"]
    assert await account.decisions(external_id="o-1", transaction_as_of=2) == ["about order 1", "about order 0"]
    page = await account.get("/agent/memories", external_id="o-1", limit=3)
    rest = await account.get("/agent/memories", external_id="o-1", limit=3, cursor=page["next_cursor"])
    assert texts([*page["memories"], *rest["memories"]]) == [f"about order {number}" for number in (4, 3, 2, 1, 0)]
