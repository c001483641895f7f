"""Every read names its moment, and can be repeated."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect, lasting
from aurra.conformance.law import law
from aurra.conformance.tenant import SLOT, Done, Tenant, day

_FRAME = re.compile("^As of [^:,–]{1,40}(?::|,| –) ")
"""Stands before an answer where the question names a time."""
_QUESTION = "Where does Kim live?"
Read = Callable[[Json], Awaitable[Json]]


async def _replays(tenant: Tenant, oslo: Done, name: str, read: Read) -> None:
    """Reads at four moments, writes, reads again what each answer named, and expects the same."""
    asked: list[Json] = [{}, {"as_of": day(3)}, {"transaction_as_of": oslo.tx}]
    asked.append({"as_of": day(7), "transaction_as_of": oslo.tx})
    answers = [await read(moment) for moment in asked]
    await tenant.city("Bern", day(1), day(9))
    await tenant.city("Paris")
    await tenant.fact("Kim lives in a houseboat", day(0))
    await tenant.delete(oslo.id)
    for moment, answer in zip(asked, answers, strict=True):
        what = f"{name} with {moment or 'no times'}"
        named: Json = {"transaction_as_of": answer["transaction"]["id"], "as_of": answer["as_of"]}
        expect(set(answer["transaction"]), {"id", "at"}, f"{what} names its transaction")
        if "as_of" in moment:
            expect(answer["as_of"], moment["as_of"], f"{what} names its as_of")
        given = {key: value for key, value in named.items() if value is not None}
        expect(_same(await read(given)), _same(answer), f"{what}, repeated with the times it named")


def _same(answer: Json) -> Any:
    """What of an answer must be the same for ever; scores are comparable within one answer only."""
    kept = {name: value for name, value in answer.items() if name not in ("receipt_id", "proof_tree")}
    for name in ("answer", "answer_with_citations"):
        if name in kept:
            kept[name] = _FRAME.sub("", kept[name])
    for name in ("memories", "citations"):
        if name in kept:
            kept[name] = [
                {key: value for key, value in entry.items() if key not in ("score", "similarity", "signals")}
                for entry in kept[name]
            ]
    return lasting(kept)


async def _kim(tenant: Tenant) -> Done:
    """Kim lives in Oslo, and from the fifth day on in Rome; returns the first."""
    oslo = await tenant.add("Kim lives in Oslo", valid_from=day(0), **SLOT)
    await tenant.add("Kim lives in Rome", valid_from=day(5), **SLOT)
    return oslo


@law("list-replays")
async def list_replays(tenant: Tenant) -> None:
    """A list names its transaction and as_of; repeated with both it is the same, whatever was written since."""
    await _replays(tenant, await _kim(tenant), "list", lambda times: tenant.page(**times))


@law("get-replays")
async def get_replays(tenant: Tenant) -> None:
    """A memory read by id names its transaction and as_of; repeated with both it is the same."""
    oslo = await _kim(tenant)
    await _replays(tenant, oslo, "get", lambda times: tenant.get(oslo.id, **times))


@law("timeline-replays")
async def timeline_replays(tenant: Tenant) -> None:
    """A timeline names its transaction and as_of; repeated with both it is the same."""
    oslo = await _kim(tenant)
    await _replays(tenant, oslo, "timeline", lambda times: tenant.timeline(oslo.id, **times))


@law("versions-replay")
async def versions_replay(tenant: Tenant) -> None:
    """The versions of a memory name their transaction and as_of; repeated with both they are the same."""
    oslo = await _kim(tenant)
    await _replays(tenant, oslo, "versions", lambda times: tenant.versions(oslo.id, **times))


@law("search-replays")
async def search_replays(tenant: Tenant) -> None:
    """A search names its transaction and as_of; repeated with both it finds the same in the same order."""
    await _replays(tenant, await _kim(tenant), "search", lambda times: tenant.search(_QUESTION, **times))


@law("query-replays")
async def query_replays(tenant: Tenant) -> None:
    """An answer names its transaction and as_of; repeated with both, it and its citations are the same."""
    await _replays(tenant, await _kim(tenant), "query", lambda times: tenant.query(_QUESTION, **times))


@law("diff-replays")
async def diff_replays(tenant: Tenant) -> None:
    """The difference between two transactions is the same, whatever was written since."""
    oslo = await _kim(tenant)
    rome = await tenant.city("Bern", day(7), day(8))
    first = await tenant.diff(oslo.tx, rome.tx)
    expect([first["from"]["id"], first["to"]["id"]], [oslo.tx, rome.tx], "the transactions that it names")
    await tenant.city("Paris", day(1))
    await tenant.delete(oslo.id)
    expect(lasting(await tenant.diff(oslo.tx, rome.tx)), lasting(first), "the same difference, asked again")


@law("search-finds-only-what-was-believed")
async def search_in_state(tenant: Tenant) -> None:
    """What a search finds is what the list holds at the same point of the plane, and nothing else."""
    oslo = await _kim(tenant)
    gone = await tenant.fact("Kim lives in a houseboat", day(0), day(8))
    last = await tenant.delete(gone.id)
    for tx in (oslo.tx, gone.tx, last.tx):
        for at in (day(1), day(6), day(9)):
            found = await tenant.search(_QUESTION, as_of=at, transaction_as_of=tx, limit=100)
            held = await tenant.page(as_of=at, transaction_as_of=tx)
            versions = {entry["version"]: entry["decision"] for entry in held["memories"]}
            strange = [entry["decision"] for entry in found["memories"] if entry["version"] not in versions]
            expect(strange, [], f"found at {at}, transaction {tx}, and not held there")


@law("pages-are-of-one-moment")
async def pages(tenant: Tenant) -> None:
    """The pages of a list are read at the moment of the first, whatever is written between them."""
    for number in range(5):
        await tenant.fact(f"Kim has {number} cats", day(number))
    whole = await tenant.page()
    page = await tenant.page(limit=2)
    said = [entry["decision"] for entry in page["memories"]]
    moment = [page["transaction"], page["as_of"]]
    while page["has_more"]:
        await tenant.fact(f"Kim has {len(said)} dogs", day(0))
        if len(said) == 2:
            await tenant.delete(whole["memories"][-1]["id"])
        page = await tenant.page(limit=2, cursor=page["next_cursor"])
        expect([page["transaction"], page["as_of"]], moment, "the moment of a later page")
        said += [entry["decision"] for entry in page["memories"]]
    expect(said, [entry["decision"] for entry in whole["memories"]], "the pages together, and the whole list before")


@law("timeline-is-the-same-from-each-of-its-memories")
async def timeline(tenant: Tenant) -> None:
    """The timeline is the whole chain in valid order, whichever of its memories is asked, in a slot and along
    links."""
    slot = [await tenant.city(value, day(at)) for value, at in (("Oslo", 0), ("Rome", 5), ("Bern", 8))]
    linked = [await tenant.fact(f"Kim works at {name}", day(at)) for name, at in (("Acme", 0), ("Globex", 3))]
    await tenant.supersede(linked[0].id, superseded_by=linked[1].id)
    for chain in (slot, linked):
        for asked in chain:
            answer = await tenant.timeline(asked.id)
            expect([entry["id"] for entry in answer["timeline"]], [done.id for done in chain], "ids of the chain")
            expect(answer["chain_length"], len(chain), "`chain_length`")
            starts = [entry["valid_from"] for entry in answer["timeline"]]
            expect(starts, sorted(starts), "starts in valid order")


@law("versions-are-rectangles")
async def versions(tenant: Tenant) -> None:
    """The versions of a memory are all it ever said: each over one valid interval, opened by one transaction and
    closed by one or none; what is believed at a transaction is what was opened until then and not closed."""
    oslo = await tenant.city("Oslo", day(0))
    rome = await tenant.city("Rome", day(5))
    gone = await tenant.delete(oslo.id)
    answer = await tenant.versions(oslo.id)
    names = ("decision", "valid_from", "valid_to", "opened_by", "closed_by", "op", "superseded_by")
    said = [[version[name] for name in names] for version in answer["versions"]]
    first: list[Any] = ["Oslo", day(0), None, oslo.tx, rome.tx, "assert"]
    expect(said[0][:6], first, "the first version")
    second: list[Any] = ["Oslo", day(0), day(5), rome.tx, gone.tx, "leftover", rome.id]
    expect(said[1:], [second], "the left-over, closed by the retraction")
    version = answer["versions"][1]
    times = [version["transaction_time_start"], version["transaction_time_end"]]
    expect(times, [rome.at, gone.at], "the instants of its transactions")
