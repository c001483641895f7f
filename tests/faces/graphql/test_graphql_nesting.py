"""From one node to others, both ways: what is found, what it costs, and who sees it."""

import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from aurra.context import Service
from tests.conftest import Account, MakeAccount, client_at
from tests.counted import Counted
from tests.faces.graphql.asking import ask, data, nodes

TURNS = [
    {"role": "user", "content": "I moved to Rome in May.", "name": "Kim", "id": "1"},
    {"role": "assistant", "content": "How nice!", "id": "2"},
]


@pytest.fixture
async def told(account: Account) -> Account:
    """An account with slots, conversations, supersession and a correction."""
    for name in ("kim", "alva", "ola"):
        await account.add(f"{name} lives in Oslo", subject=name, attribute="city", valid_from="2026-01-01")
        await account.add(f"{name} lives in Rome", subject=name, attribute="city", valid_from="2026-05-01")
        await account.add(f"{name} likes tea", subject=name)
        await account.post("/agent/conversations", session_id=f"with {name}", turns=TURNS)
    return account


async def test_each_leads_to_its_neighbours_and_back(told: Account) -> None:
    """Memory to subject, conversation, transaction, successor and versions; and from each of these to memories."""
    query = """{
      memories: at(asOf: "2026-02-01") { memoriesCollection(filter: {subject: {eq: "kim"}, attribute: {eq: "city"}}) {
        edges { node { decision
          about { subject memories memoriesCollection { edges { node { decision } } } }
          successor { decision successor { decision } }
          versions { decision valid_to opened_by }
          openedBy { id verb memoriesCollection { totalCount edges { node { decision } } } key { id } } } } } }
      conversationsCollection(filter: {session_id: {eq: "with kim"}}) { edges { node {
        turns messages { content memories { decision } } few: messages(first: 1) { content }
        memoriesCollection { edges { node { decision conversation { session_id } } } } } } }
      keysCollection { edges { node { id transactionsCollection(last: 1) { totalCount edges { node { id } } } } } }
    }"""
    found = await data(told, query)
    [memory] = nodes(found["memories"]["memoriesCollection"])
    assert memory["decision"] == "kim lives in Oslo"
    assert memory["about"]["subject"] == "kim" and memory["about"]["memories"] == 1
    assert nodes(memory["about"]["memoriesCollection"]) == [{"decision": "kim lives in Oslo"}]
    assert memory["successor"] == {"decision": "kim lives in Rome", "successor": None}
    versions = (await told.get(f"/memories/{await id_of(told, 'kim lives in Oslo')}/versions"))["versions"]
    assert memory["versions"] == [
        {name: one[name] for name in ("decision", "valid_to", "opened_by")} for one in versions
    ]
    assert len(versions) == 2
    opened = memory["openedBy"]
    touched = await told.get(f"/agent/transactions/{opened['id']}")
    assert opened["memoriesCollection"]["totalCount"] == len(touched["opened"]) == 2
    assert {node["decision"] for node in nodes(opened["memoriesCollection"])} == {
        one["decision"] for one in touched["opened"]
    }
    [key] = nodes(found["keysCollection"])
    assert opened["key"] == {"id": key["id"]} and key["transactionsCollection"]["totalCount"] == 12
    assert nodes(key["transactionsCollection"]) == [{"id": 1}]
    [conversation] = nodes(found["conversationsCollection"])
    messages = (await told.get("/agent/conversations/with kim/messages"))["messages"]
    assert conversation["messages"] == [
        {"content": one["content"], "memories": [{"decision": fact["decision"]} for fact in one["memories"]]}
        for one in messages
    ]
    assert conversation["few"] == [{"content": messages[0]["content"]}]
    decision = messages[0]["memories"][0]["decision"]
    assert nodes(conversation["memoriesCollection"]) == [
        {"decision": decision, "conversation": {"session_id": "with kim"}}
    ]


async def id_of(account: Account, decision: str) -> str:
    """The id of the memory that says it."""
    query = 'query ($filter: MemoryFilter) { at(asOf: "2026-02-01") { memoriesCollection(filter: $filter) '
    found = await data(account, query + "{ edges { node { id } } } } }", filter={"decision": {"eq": decision}})
    return nodes(found["at"]["memoriesCollection"])[0]["id"]


NESTED = """query ($n: Int) { memoriesCollection(first: $n) { totalCount edges { node { decision
    about { subject memoriesCollection(first: 5) { totalCount edges { node { openedBy { id } } } } }
    conversation { memoriesCollection { totalCount } messages { content } }
    openedBy { memoriesCollection(first: 5) { edges { node { versions { version } } } } key { id } }
    successor { id } versions { version } } } } }"""


async def test_a_level_is_read_at_once_however_many_nodes_it_has(told: Account, service: Service) -> None:
    """One transaction for each field of a level: as many for one node as for many."""
    asked: list[int] = []
    for count in (1, 20):
        database = Counted(service.database)
        async with client_at(replace(service, database=database), told) as client:
            # What is known of key and limits is known.
            await client.post("/graphql", json={"query": "{ __typename }"})
            database.asked = 0
            answer = (await client.post("/graphql", json={"query": NESTED, "variables": {"n": count}})).json()
        assert "errors" not in answer
        assert len(nodes(answer["data"]["memoriesCollection"])) == min(count, 7)
        asked.append(database.asked)
    # The collection; about, conversation, openedBy, versions (nothing has a successor now); and two levels below them.
    assert 4 < asked[0] <= asked[1] <= 12, asked


async def test_without_a_scope_a_field_is_refused_and_the_others_are_not(
    told: Account, make_account: MakeAccount
) -> None:
    """Each field needs what the operation needs that lists or gets the same; the error is told at its place."""
    query = """{ memoriesCollection(first: 1) { edges { node { decision openedBy { id } versions { version } } } }
                 transactionsCollection { totalCount } keysCollection { totalCount }
                 subjectsCollection { totalCount } }"""
    reader = await make_account(of=told.row, scopes="memories:read")
    answer = await ask(reader, query)
    assert answer["data"]["subjectsCollection"]["totalCount"] == 3
    [memory] = nodes(answer["data"]["memoriesCollection"])
    assert memory["openedBy"] is None and memory["decision"] and memory["versions"]
    refused = {
        "memoriesCollection.edges.0.node.openedBy": "audit:read",
        "transactionsCollection": "audit:read",
        "keysCollection": "keys:manage",
    }
    told_of = {".".join(map(str, error["path"])): error for error in answer["errors"]}
    assert set(told_of) == set(refused)
    for path, scope in refused.items():
        extensions = told_of[path]["extensions"]
        assert (extensions["code"], extensions["status"]) == ("insufficient_scope", 403)
        assert scope in told_of[path]["message"]
    nothing = await ask(await make_account(of=told.row, scopes="usage:read"), "{ memoriesCollection { totalCount } }")
    assert nothing["data"] == {"memoriesCollection": None}


async def test_a_ceiling_holds_for_all_that_is_under_it(told: Account, make_account: MakeAccount) -> None:
    """A key that may know of nothing after transaction 4 counts what there was then, and manages no keys."""
    past = await make_account(of=told.row, scopes="memories:read,audit:read,keys:manage", up_to=4)
    query = """{ memoriesCollection { totalCount edges { node { about { memoriesCollection { totalCount } } } } }
                 subjectsCollection { totalCount } conversationsCollection { totalCount }
                 transactionsCollection { totalCount } keysCollection { totalCount }
                 late: at(transactionAsOf: 5) { memoriesCollection { totalCount } } }"""
    answer = await ask(past, query)
    known = await told.get(
        "/agent/memories", transaction_as_of=4, as_of=(await told.get("/agent/transactions/4"))["at"]
    )
    assert answer["data"]["memoriesCollection"]["totalCount"] == len(known["memories"]) == 3
    assert answer["data"]["transactionsCollection"]["totalCount"] == 4
    assert answer["data"]["subjectsCollection"]["totalCount"] == 1
    codes = {error["path"][0]: error["extensions"]["code"] for error in answer["errors"]}
    assert codes == {"keysCollection": "key_has_ceiling", "late": "transaction_in_the_future"}


async def test_another_account_and_another_tenant_are_nobody(told: Account, make_account: MakeAccount) -> None:
    """The same query of all that is planted: for another account there is nothing; a key pinned to a tenant sees that,
    and when it names another it is told what it is told of nothing."""
    await told.add("a secret", tenant_id="b", subject="kim", session_id="s")
    query = """query ($tenant: String) {
      memoriesCollection(tenant_id: $tenant, filter: {subject: {ilike: "%"}}) { totalCount edges { node { decision } } }
      subjectsCollection(tenant_id: $tenant) { totalCount }
      conversationsCollection(tenant_id: $tenant) { totalCount }
      transactionsCollection(tenant_id: $tenant) {
        totalCount edges { node { memoriesCollection { totalCount } } } } }"""
    other, pinned = await make_account(), await make_account(of=told.row, tenant_id="b")
    for account, tenant, counts in (
        (told, None, (7, 3, 3, 13)),
        (told, "b", (1, 1, 0, 1)),
        (pinned, None, (1, 1, 0, 1)),
        (pinned, "b", (1, 1, 0, 1)),
        (other, None, (0, 0, 0, 0)),
        (other, "b", (0, 0, 0, 0)),
    ):
        found = await data(account, query, tenant=tenant)
        totals = tuple(found[f"{name}Collection"]["totalCount"] for name in KINDS)
        assert (totals[0] > 0, *totals[1:]) == (counts[0] > 0, *counts[1:]), (tenant, totals)
        if counts[0] == 1:
            assert nodes(found["memoriesCollection"]) == [{"decision": "a secret"}]
            [entry] = nodes(found["transactionsCollection"])
            assert entry["memoriesCollection"]["totalCount"] == 1
    answer = await ask(pinned, query, tenant="c")
    nobodys = await ask(pinned, query, tenant="a")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"not_found"}
    assert _plain(answer) == _plain(nobodys)


async def test_what_a_node_leads_to_is_of_its_own_tenant(account: Account) -> None:
    """Two tenants in which all has the same names: under no node of one is anything of the other."""
    for tenant in ("a", "b"):
        turns = [{"role": "user", "content": f"said in {tenant}", "id": "1"}]
        session = {"session_id": "s", "tenant_id": tenant}
        await account.post("/agent/conversations", turns=turns, channel=f"of {tenant}", extraction="never", **session)
        old = await account.add(f"old of {tenant}", subject="Kim", valid_from="2026-01-01", **session)
        new = await account.add(f"new of {tenant}", subject="Kim", valid_from="2026-02-01", **session)
        await account.post(f"/memories/{old}/supersede", superseded_by=new)
        await account.client.patch("/agent/subjects/kim", json={"external_id": f"crm {tenant}", "tenant_id": tenant})
    inner = "memoriesCollection { totalCount edges { node { decision } } }"
    query = f"""query ($tenant: String) {{
      now: memoriesCollection(tenant_id: $tenant) {{ edges {{ node {{ decision versions {{ decision }}
        about {{ external_id memories {inner} }} conversation {{ channel turns {inner} messages {{ content }} }}
        openedBy {{ {inner} }} }} }} }}
      sorted: memoriesCollection(tenant_id: $tenant, orderBy: [{{ valid_from: AscNullsLast }}]) {{
        totalCount edges {{ node {{ decision }} }} }}
      then: at(asOf: "2026-01-15") {{ memoriesCollection(tenant_id: $tenant) {{
        edges {{ node {{ decision successor {{ decision }} }} }} }} }}
      subjectsCollection(tenant_id: $tenant) {{ edges {{ node {{ external_id memories {inner} }} }} }}
      conversationsCollection(tenant_id: $tenant) {{ edges {{ node {{ channel {inner} messages {{ content }} }} }} }}
      transactionsCollection(tenant_id: $tenant) {{ edges {{ node {{ {inner} }} }} }} }}"""
    of_a, of_b = [await data(account, query, tenant=tenant) for tenant in ("a", "b")]
    told = json.dumps(of_a)
    assert "new of a" in told and "said in a" in told and "crm a" in told and "old of a" in json.dumps(of_a["then"])
    assert not re.search(r"\b(of|in|crm) b\b", told)
    # All that is said of one is said of the other: nothing is more or less.
    assert re.sub(r"\b(new of|old of|said in|of|crm) a\b", r"\1 b", told) == json.dumps(of_b)


KINDS = ("memories", "subjects", "conversations", "transactions")


def _plain(answer: Any) -> Any:
    for error in answer["errors"]:
        del error["extensions"]["request_id"]
    return answer
