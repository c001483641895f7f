"""Asking in GraphQL, as a client does."""

from typing import Any

import httpx2

from tests.conftest import Account

Json = dict[str, Any]


async def ask(account: Account, query: str, /, **variables: Any) -> Json:
    """What is answered to a query: `data`, and `errors` where there are some."""
    response = await account.client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200, response.text
    return response.json()


async def data(account: Account, query: str, /, **variables: Any) -> Json:
    """The data of a query that must succeed."""
    answer = await ask(account, query, **variables)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


async def errors(account: Account, query: str, /, **variables: Any) -> list[Json]:
    """What is wrong with a query, without what is each request's own."""
    found = (await ask(account, query, **variables))["errors"]
    for error in found:
        assert error["extensions"].pop("request_id")
    return found


async def code(account: Account, query: str, /, **variables: Any) -> str:
    """The code of the one error of a query."""
    [error] = await errors(account, query, **variables)
    return error["extensions"]["code"]


def nodes(connection: Json) -> list[Json]:
    """The nodes of a connection."""
    return [edge["node"] for edge in connection["edges"]]


async def send(client: httpx2.AsyncClient, query: str, **headers: str) -> httpx2.Response:
    """The bare response to a query."""
    return await client.post("/graphql", json={"query": query}, headers=headers)
