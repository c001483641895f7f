"""The past is never rewritten: what was read at a transaction is read for ever."""

import random
from typing import Any

from tests.conftest import Account

STEPS = 60


async def state(account: Account, number: int) -> dict[str, Any]:
    """Everything believed at a transaction, whatever its validity."""
    return await account.get("/agent/memories", limit=1000, transaction_as_of=number)


async def step(account: Account, dice: random.Random, ids: list[str]) -> None:
    """One random verb; what the service refuses is no step."""
    day = f"2026-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"
    match dice.choice(["assert", "assert", "bounded", "free", "supersede", "end", "retract"]):
        case "assert":
            fields = {"subject": "kim", "attribute": dice.choice(["city", "job"]), "valid_from": day}
            ids.append(await account.add(f"value {len(ids)}", **fields))
        case "bounded":
            fields = {"subject": "kim", "attribute": "city", "valid_from": day, "valid_to": "2027-01-01"}
            ids.append(await account.add(f"value {len(ids)}", **fields))
        case "free":
            ids.append(await account.add(f"note {len(ids)}", valid_from=day))
        case "supersede" if len(ids) > 1:
            old, new = dice.sample(ids, 2)
            await account.client.post(f"/memories/{old}/supersede", json={"superseded_by": new})
        case "end" if ids:
            await account.client.post(f"/memories/{dice.choice(ids)}/supersede", json={"valid_to": day})
        case "retract" if ids:
            await account.client.delete(f"/memories/{dice.choice(ids)}")
        case _:
            pass


async def test_a_state_read_when_it_was_newest_is_read_again_at_the_end(account: Account) -> None:
    """Property 2: state(k) now is JSON-identical to state(k) when k was newest; numbers are dense, instants ascend."""
    dice = random.Random(20260301)
    ids: list[str] = []
    seen: dict[int, dict[str, Any]] = {}
    for _ in range(STEPS):
        await step(account, dice, ids)
        newest = (await account.get("/agent/memories", limit=1))["transaction"]["id"]
        seen.setdefault(newest, await state(account, newest))
    assert len(seen) > STEPS // 2
    assert sorted(seen) == list(range(min(seen), max(seen) + 1))
    for number, then in seen.items():
        assert await state(account, number) == then
    instants = [seen[number]["transaction"]["at"] for number in sorted(seen)]
    assert instants == sorted(set(instants))


async def test_one_slot_never_has_two_values_at_one_instant(account: Account) -> None:
    """Property 1, read through the product: at any instant, as known at any transaction, one value or none."""
    dice = random.Random(7)
    ids: list[str] = []
    for _ in range(30):
        await step(account, dice, ids)
    newest = (await account.get("/agent/memories", limit=1))["transaction"]["id"]
    for _ in range(60):
        day = f"2026-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"
        number = dice.randint(1, newest)
        page = await account.get("/agent/memories", limit=1000, as_of=day, transaction_as_of=number, subject="kim")
        attributes = [memory["attribute"] for memory in page["memories"]]
        assert len(attributes) == len(set(attributes)), (day, number)
