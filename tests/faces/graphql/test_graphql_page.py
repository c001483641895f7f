"""The page for people: from this service alone, and nothing that it could not tell a stranger."""

import re

import httpx2

from aurra.faces import assets
from tests.conftest import Account

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_page_is_made_of_this_services_own_files(bare: httpx2.AsyncClient) -> None:
    """HTML for who asks for it, without a key; every file that it names is here."""
    for path in ("/graphql", "/api/v1/graphql"):
        response = await bare.get(path, headers=HTML)
        assert response.status_code == 200 and response.headers["Content-Type"].startswith("text/html")
        named = re.findall(r'(?:src|href|data-schema)="([^"]+)"', response.text)
        assert len(named) == 3 and all(name.startswith(("/assets/graphiql/", "/graphql/")) for name in named)
    for name in named:
        part = await bare.get(name)
        assert part.status_code == 200 and part.headers["X-Content-Type-Options"] == "nosniff"
        if name.endswith(".css"):
            assert "://" not in part.text and "@import" not in part.text
    # What the files are made from is not served.
    assert not [name for name in assets.all_assets() if "source" in name]


async def test_the_page_may_load_nothing_from_elsewhere_and_run_nothing_of_its_own(bare: httpx2.AsyncClient) -> None:
    """The policy names this service, and no script but its file; there is none in the page."""
    response = await bare.get("/graphql", headers=HTML)
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "://" not in response.text and "://" not in response.headers["Content-Security-Policy"]
    assert re.findall(r"<script(?! src=)|\son\w+=|javascript:", response.text) == []


async def test_who_asks_for_json_gets_no_page(account: Account) -> None:
    """A query in the address, or JSON asked for beside HTML, is a request like any other."""
    asked = await account.client.get("/graphql", params={"query": "{ __typename }"}, headers=HTML)
    assert asked.json() == {"data": {"__typename": "Query"}}
    both = await account.client.get("/graphql", headers={"Accept": "text/html, application/json"})
    assert both.json()["code"] == "validation_error"


def test_the_files_are_small_and_their_licences_are_there() -> None:
    """Under 2.5 MB; each package that they are made of is named with its licence."""
    files = assets.FILES / "graphiql"
    sizes = [one.stat().st_size for one in files.iterdir() if one.is_file()]
    assert sum(sizes) < 2_500_000
    told = (files / "LICENSES.txt").read_text("utf-8")
    for name in (
        "graphiql 4",
        "react 18",
        "codemirror 5",
        "graphql 16",
        "graphql-ws 5",
        "MIT License",
        "Apache License",
    ):
        assert name in told, name
    assert "resolved" not in (files / "source" / "package-lock.json").read_text("utf-8")
