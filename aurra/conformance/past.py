"""What was answered about each transaction while it was the newest, to be compared with what is answered later."""

from collections.abc import Awaitable

import msgspec

from aurra.conformance.client import Json
from aurra.conformance.expecting import expect, lasting
from aurra.conformance.tenant import Done, Tenant, day

_DAYS = (2.5, 7.5, 400)


class _Noted(msgspec.Struct):
    tx: int
    ids: list[str]
    said: Json


class Past:
    """Notes what is read at each transaction, right after it."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._noted: list[_Noted] = []
        self._ids: list[str] = []

    async def after(self, verb: Awaitable[Done]) -> Done:
        """The verb, done, and its transaction noted."""
        done = await verb
        if done.id and done.id not in self._ids:
            self._ids.append(done.id)
        ids = list(self._ids)
        self._noted.append(_Noted(done.tx, ids, await self._read(done.tx, ids)))
        return done

    async def expect_unchanged(self, erased: str | None = None) -> None:
        """Returns when each transaction still reads as it did; of an erased memory nothing is compared."""
        for noted in self._noted:
            ids = [id_ for id_ in noted.ids if id_ != erased]
            then = _without(noted.said, erased)
            now = _without(await self._read(noted.tx, ids), erased)
            expect(now, then, f"what is read at transaction {noted.tx}, then and at the end")

    async def _read(self, tx: int, ids: list[str]) -> Json:
        tenant = self._tenant
        return lasting(
            {
                "all": await tenant.state(tx),
                "at": {day(at): (await tenant.page(as_of=day(at), transaction_as_of=tx))["memories"] for at in _DAYS},
                "memory": {id_: await tenant.get(id_, transaction_as_of=tx) for id_ in ids},
                "timeline": {id_: await tenant.timeline(id_, transaction_as_of=tx) for id_ in ids},
            }
        )


def _without(said: Json, erased: str | None) -> Json:
    """What was said of other memories."""
    return {
        "all": [entry for entry in said["all"] if entry["id"] != erased],
        "at": {at: [entry for entry in entries if entry["id"] != erased] for at, entries in said["at"].items()},
        "memory": {id_: found for id_, found in said["memory"].items() if id_ != erased},
        "timeline": {id_: found for id_, found in said["timeline"].items() if id_ != erased},
    }
