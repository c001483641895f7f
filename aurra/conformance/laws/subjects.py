"""Subjects, and the profile of one at both times."""

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect
from aurra.conformance.law import law
from aurra.conformance.tenant import FAR, SUBJECT, Tenant, day


@law("subjects-are-listed")
async def listed(tenant: Tenant) -> None:
    """The subjects are those that something is believed about, with the attributes that have a value."""
    first = await tenant.city("Oslo", day(0))
    await tenant.add("chess", subject="kim", attribute="hobby", valid_from=day(0))
    lee = await tenant.add("Rome", subject="lee", attribute="city", valid_from=day(0))
    said = [(entry["subject"], entry["attributes"]) for entry in (await tenant.subjects())["subjects"]]
    expect(said, [("kim", ["city", "hobby"]), ("lee", ["city"])], "subjects and their attributes")
    await tenant.delete(lee.id)
    said = [entry["subject"] for entry in (await tenant.subjects())["subjects"]]
    expect(said, ["kim"], "subjects after what was believed of one was taken back")
    then = (await tenant.subjects(transaction_as_of=first.tx))["subjects"]
    expect([(entry["subject"], entry["attributes"]) for entry in then], [("kim", ["city"])], "subjects as known first")


@law("profile-at-both-times")
async def profile(tenant: Tenant) -> None:
    """A profile says of each attribute what holds, its history, and what is due to start or end; at `as_of`, as
    believed at `transaction_as_of`."""
    oslo = await tenant.city("Oslo", day(0))
    await tenant.city("Rome", day(5))
    await tenant.city("Paris", FAR)
    tea = await tenant.fact("Kim drinks tea", day(0), subject=SUBJECT)
    now = await tenant.profile(SUBJECT)
    city = _attribute(now, "city")
    expect(_said(city["current"]), ["Rome"], "what holds now")
    expect(_said(city["history"]), ["Oslo", "Rome", "Paris"], "all that is believed, in valid order")
    expect(_said(city["starting"]), ["Paris"], "what is due to start")
    expect(_said(city["ending"]), ["Rome"], "what is due to end")
    expect(city["cardinality"], "one", "the slot's cardinality")
    expect([entry["id"] for entry in now["memories"]], [tea.id], "what holds of no attribute")
    then = _attribute(await tenant.profile(SUBJECT, as_of=day(3)), "city")
    expect([_said(then[name]) for name in ("current", "starting")], [["Oslo"], ["Rome", "Paris"]], "as of day 3")
    known = _attribute(await tenant.profile(SUBJECT, as_of=day(7), transaction_as_of=oslo.tx), "city")
    expect(
        [_said(known[name]) for name in ("current", "history", "ending")], [["Oslo"], ["Oslo"], []], "as known first"
    )


def _attribute(profile: Json, name: str) -> Json:
    return next(attribute for attribute in profile["attributes"] if attribute["attribute"] == name)


def _said(entries: list[Json]) -> list[str]:
    return [entry["decision"] for entry in entries]
