"""Requests to GraphQL count in a bucket of their own."""

import datetime as dt
from typing import Any
from uuid import uuid4

import pytest

from aurra import rates
from aurra.context import Service
from aurra.store import rates as stored
from tests.conftest import HandClock, MakeAccount
from tests.faces.graphql.asking import send

BEGINNING = dt.datetime(2032, 3, 1, tzinfo=dt.UTC)
PLANS = {"free": (100, 1_000), "starter": (600, 3_000), "pro": (3_000, 15_000), "enterprise": (None, None)}


@pytest.mark.parametrize("plan", PLANS)
async def test_the_function_has_the_limits_of_the_pure_module(
    make_account: MakeAccount, service: Service, plan: str
) -> None:
    """Of each line of each plan; GraphQL has 100 a key and 1,000 an account at most, and none where there is none."""
    account = await make_account(plan=plan)
    for line in ("abcdefgh", "", "graphql:abcdefgh", "graphql:"):
        async with service.database.begin(account.row.id) as tx:
            found = await stored.lease(tx, line, uuid4(), unused=0, waiting=1, ahead=0, clock=BEGINNING)
        assert found.per_minute == rates.limit_of(line, *PLANS[plan]), line
    assert rates.limit_of("graphql:", *PLANS["pro"]) == 1_000
    assert rates.limit_of("graphql:x", *PLANS["pro"]) == 100 and rates.limit_of("x", *PLANS["pro"]) == 3_000
    assert rates.limit_of("graphql:x", 10, 20) == 10


async def test_graphql_and_rest_do_not_use_up_one_another(
    make_account: MakeAccount, service: Service, hand_clock: HandClock
) -> None:
    """Eight at once of a hundred a minute, then 429 as REST has it, with the bucket's own headers; REST goes on."""
    hand_clock.at = BEGINNING
    account = await make_account(plan="starter")
    left = [(await send(account.client, "{ __typename }")).headers["X-RateLimit-Remaining"] for _ in range(8)]
    assert left == [str(number) for number in range(7, -1, -1)]
    refused = await send(account.client, "{ __typename }")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["X-RateLimit-Limit"] == "100" and refused.headers["Retry-After"] == "1"
    reset = dt.datetime.fromtimestamp(int(refused.headers["X-RateLimit-Reset"]), dt.UTC)
    assert dt.timedelta() < reset - BEGINNING <= dt.timedelta(seconds=6)
    assert '"graphql-key";q=100;w=60' in refused.headers["RateLimit-Policy"]
    rest = await account.client.get("/plan/status")
    assert rest.status_code == 200 and rest.headers["X-RateLimit-Limit"] == "600"
    assert rest.headers["X-RateLimit-Remaining"] == "49"
    another = await make_account(of=account.row)
    assert (await send(another.client, "{ __typename }")).headers["X-RateLimit-Remaining"] == "7"


async def test_what_is_refused_is_counted_once(make_account: MakeAccount, hand_clock: HandClock) -> None:
    """A query that is too large, one that is no GraphQL, and one that fails inside cost one request each."""
    hand_clock.at = BEGINNING + dt.timedelta(hours=1)
    account = await make_account(plan="free")
    bodies: list[dict[str, Any]] = [
        {"query": "{"},
        {"query": "{ memoriesCollection(first: 101) { totalCount } }"},
        {"query": '{ memories_get(memory_id: "x") { memory { id } } }'},
        {},
    ]
    left = [(await account.client.post("/graphql", json=body)).headers["X-RateLimit-Remaining"] for body in bodies]
    assert left == ["7", "6", "5", "4"]


async def test_the_service_answers_without_limits_where_the_plan_has_none(make_account: MakeAccount) -> None:
    """The plan without limits has none here either."""
    account = await make_account()
    answers = [await send(account.client, "{ __typename }") for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].headers["X-RateLimit-Limit"] == str(2**53 - 1)
