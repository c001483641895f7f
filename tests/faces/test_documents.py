"""The pages that are read without a key: they are complete, they load nothing from elsewhere, and their flows run."""

import asyncio
import hashlib
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import schemathesis

from aurra.errors import CODES
from aurra.faces import assets, guide, naming, openapi
from aurra.faces.index import FACES
from aurra.ops import OPERATIONS, Operation
from tests.conftest import Account
from tests.house import vendored

# Its types are not complete.
_from_dict: Any = schemathesis.openapi.from_dict
PROSE = guide.PROSE.read_text("utf-8")
DOCUMENTS = ["/", "/openapi.json", "/docs", "/docs.md", "/llms.txt", "/llms-full.txt"]
FLOWS = dict(re.findall(r"### ([^\n]+)\n(?:(?!###)[^`]|`[^`]+`)*```sh\n(.*?)```", PROSE, re.DOTALL))
NAMES_ONLY = {
    "www.w3.org", "json-schema.org", "spec.openapis.org", "datatracker.ietf.org", "www.rfc-editor.org", "github.com",
    "example.com", "swagger.io", "fb.me", "reactjs.org", "redux.js.org", "spdx.org", "vladimirgorej.com",
    "twitter.com", "instagram.com", "soundcloud.com", "www.facebook.com", "www.tiktok.com", "validator.swagger.io",
    "base", "실례.com",
}  # fmt: skip
"""Hosts that a script names and never asks: namespaces, comments, what text might mention; the page's policy refuses
to ask any of them, and the badge of the validator is switched off in start.js."""


@pytest.fixture
async def page(bare: httpx2.AsyncClient) -> str:
    return (await bare.get("/docs.md")).text


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_a_document_needs_no_key_and_may_be_read_from_anywhere(bare: httpx2.AsyncClient, path: str) -> None:
    """200 without a key, for any origin; a client that has it is told so; a HEAD has no body."""
    response = await bare.get(path, headers={"Origin": "https://elsewhere.example"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["x-request-id"]
    kinds = {".md": "text/markdown; charset=utf-8", ".txt": "text/markdown; charset=utf-8"}
    kinds |= {"": "text/html; charset=utf-8", ".json": "application/json"}
    expected = "application/json" if path == "/" else kinds[Path(path).suffix]
    assert response.headers["content-type"] == expected
    again = await bare.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await bare.head(path)
    assert (head.status_code, head.content) == (200, b"")


def _section(page: str, heading: str) -> str:
    return page.split(f"\n### {heading}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=list(OPERATIONS))
def test_every_operation_is_in_the_guide_with_its_fields(op: Operation) -> None:
    """Method and path, scope, what it says; a row for each field of request and answer, required ones marked."""
    section = _section(guide.page([]), op.name)
    assert f"`{op.method} {op.path}`" in section and f"scope `{op.scope}`" in section and op.summary in section
    assert all(f"`{path}`" in section for path in op.aliases)
    taken, answered = section.split("\nAnswers:", 1)
    rows = {row.split("`")[1]: row for row in taken.splitlines() if row.startswith("| `")}
    fields = msgspec.structs.fields(op.request)
    assert list(rows) == [field.encode_name for field in fields]
    for field in fields:
        assert ("| required" in rows[field.encode_name]) == field.required, field.name
    told = re.findall(r"^\| `(\w+)`", answered, re.MULTILINE)
    assert {*told, "warnings"} == set(op.answer.__struct_encode_fields__)


def test_every_type_error_and_link_of_the_guide_is_there() -> None:
    """What an operation's fields are made of has a section, each code its row, each link its heading."""
    text = guide.page([])
    for code, (status, hint) in CODES.items():
        assert f"| {status} | `{code}` | {hint} |" in text
    headings = {re.sub(r"[^\w -]", "", heading.lower()) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    links = re.findall(r"\]\(#([\w-]+)\)", text)
    assert links and set(links) <= headings
    assert "| null" not in text and "None" not in text.split("## Operations")[1]


async def test_the_plans_are_those_in_force(page: str, account: Account) -> None:
    """A row for each plan of the contract, and no name of another."""
    rows = dict(re.findall(r"^\| (\w+) \| (.+) \|$", page.split("## Plans")[1], re.MULTILINE))
    assert {name: rows[name] for name in guide.CONTRACT} == {
        "free": "1,000 | 100 | 1,000",
        "starter": "50,000 | 600 | 3,000",
        "pro": "500,000 | 3,000 | 15,000",
        "enterprise": "unlimited | unlimited | unlimited",
    }
    assert set(rows) == {*guide.CONTRACT, "plan"}


async def test_the_index_says_where_each_operation_is_on_every_face(bare: httpx2.AsyncClient) -> None:
    """Once each, with all that the registry says; references lead somewhere; the names are unique on each face."""
    index = (await bare.get("/")).json()
    schemas = (await bare.get("/openapi.json")).json()["components"]["schemas"]
    told = {one["name"]: one for one in index["operations"]}
    assert list(told) == list(OPERATIONS) and len(index["operations"]) == len(OPERATIONS)
    for op in OPERATIONS.values():
        one = told[op.name]
        assert (one["id"], one["method"], one["path"], one["scope"]) == (op.id, op.method, op.path, op.scope)
        assert (one["aliases"], one["idempotent"]) == (list(op.aliases), op.is_idempotent)
        assert (one["read_only"], one["destructive"]) == (op.is_read_only, op.is_destructive)
        for side in ("request", "answer"):
            document, _, pointer = one[side].partition("#/components/schemas/")
            assert document == "/openapi.json" and pointer in schemas
    for name in ("mcp_tool", "graphql_field"):
        assert len({one[name] for one in told.values()}) == len(told)
    commands = [command for one in told.values() for command in one["commands"]]
    assert len(set(commands)) == len(commands)
    assert naming.commands(OPERATIONS["memories.get_audit"]) == ["aurra memories get-audit"]
    assert naming.commands(OPERATIONS["memories.add"]) == ["aurra memories add", "aurra remember CONTENT"]
    assert naming.javascript_method(OPERATIONS["memories.get_audit"]) == "client.memories.getAudit"
    assert index["faces"] == FACES and {"mcp", "graphql", "docs", "docs_md", "llms_txt", "openapi"} <= set(FACES)
    assert index["errors"] == {code: {"status": status, "hint": hint} for code, (status, hint) in CODES.items()}


async def test_the_documents_that_the_index_names_are_there(bare: httpx2.AsyncClient) -> None:
    """Those that a page or a document is at."""
    for name in ("docs", "docs_md", "llms_txt", "openapi", "rest"):
        assert (await bare.get(FACES[name])).status_code == 200


async def test_llms_txt_has_the_format_and_every_operation(bare: httpx2.AsyncClient) -> None:
    """A heading, a quotation, sections of links; the links lead to what is there."""
    lines = (await bare.get("/llms.txt")).text.splitlines()
    assert lines[0] == "# Aurra" and lines[2].startswith("> Memory for AI agents")
    sections = [line for line in lines if line.startswith("#")]
    assert sections == ["# Aurra", "## Read first", "## Operations", "## Optional"]
    links = [line for line in lines if line.startswith("- ")]
    assert all(re.fullmatch(r"- \[[^\]]+\]\(/[\w.#-]*\): .+", line) for line in links)
    assert [name for name in OPERATIONS if not any(line.startswith(f"- [{name}](") for line in links)] == []
    assert len((await bare.get("/llms.txt")).text) < len((await bare.get("/llms-full.txt")).text) / 5


def test_there_are_flows() -> None:
    """As many as have a heading, each with something to expect."""
    headings = re.findall(r"^### (.+)$", PROSE, re.MULTILINE)
    assert list(FLOWS) == headings and len(FLOWS) >= 6
    assert all("#> " in flow for flow in FLOWS.values())


@pytest.mark.parametrize("name", list(FLOWS))
async def test_a_flow_of_the_guide_runs(name: str, url: str, account: Account) -> None:
    """As it stands, in bash against a real service, in a fresh account; what it says will come, comes, in order."""
    if not all(map(shutil.which, ("bash", "curl", "jq"))):
        pytest.skip("the flows are bash, curl and jq")
    preamble = re.search(r"```sh\n(# METHOD.*?)```", PROSE, re.DOTALL)
    assert preamble
    script = f"set -euo pipefail\n{preamble[1]}\n{FLOWS[name]}"
    environment = {"PATH": os.environ["PATH"], "AURRA_BASE_URL": url, "AURRA_API_KEY": account.key}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, ""), out.decode()
    assert out.decode().splitlines() == re.findall(r"^#> (.*)$", FLOWS[name], re.MULTILINE)


class _Loads(HTMLParser):
    """What a page loads, and whether a script stands in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img", "iframe"):
            self.addresses.append(given.get("src") or given.get("href") or "")
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.inline += ["script"] if tag == "script" and "src" not in given else []


async def test_the_reference_loads_only_what_is_served_here(bare: httpx2.AsyncClient) -> None:
    """Each address is one of ours and answers; no script and no handler stands in the page; its policy forbids more."""
    response = await bare.get("/docs")
    found = _Loads()
    found.feed(response.text)
    assert found.inline == [] and len(found.addresses) == 5
    for address in found.addresses:
        assert address == "data:," or (address.startswith("/assets/") and (await bare.get(address)).status_code == 200)
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["connect-src"] == "'self'"
    assert not any(source for value in policy.values() for source in value.split() if "/" in source or "*" in source)
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"


def test_no_asset_asks_anybody_else() -> None:
    """Style sheets load nothing but what they carry; scripts name no host that is not known to be a mere name."""
    for name, asset in assets.all_assets().items():
        text = asset.content.decode("utf-8", "replace")
        if asset.suffix == ".css":
            loaded = re.findall(r"""(?:url\(\s*["']?|@import\s+["'])([\w+.-]+:|//)""", text)
            assert set(loaded) <= {"data:"}, name
        if asset.suffix == ".js" and name.startswith("docs/"):
            assert set(re.findall(r"https?://([\w.-]+)", text)) <= NAMES_ONLY, name
    start = (assets.FILES / "docs" / "start.js").read_text("utf-8")
    assert "validatorUrl: null" in start and "persistAuthorization: false" in start


async def test_assets_are_a_closed_set_and_kept_for_ever(bare: httpx2.AsyncClient) -> None:
    """The right type, no guessing, a version in the address; whatever else is asked for is not there."""
    for path, asset in assets.all_assets().items():
        response = await bare.get(f"/assets/{path}", headers={"Accept-Encoding": "identity"})
        assert (response.status_code, response.content) == (200, asset.content)
        kind = assets.TYPES[asset.suffix]
        assert response.headers["content-type"] == f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
        again = await bare.get(f"/assets/{path}", headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304
        packed = await bare.get(f"/assets/{path}", headers={"Accept-Encoding": "gzip"})
        assert packed.content == asset.content
    bundle = assets.address("docs/swagger-ui-bundle.js")
    packed = await bare.get(bundle, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and packed.headers["vary"] == "Accept-Encoding"
    version = bundle.split("/")[3]
    for path in (
        "docs/start.js",
        "docs/000000000000/start.js",
        f"docs/{version}/LICENSE",
        f"docs/{version}/../../../assets.py",
        f"docs/{version}/%2e%2e/%2e%2e/assets.py",
        "..%2fassets.py",
        "",
    ):
        refused = await bare.get(f"/assets/{path}")
        assert (refused.status_code, refused.json()["code"]) == (404, "no_such_path"), path


def test_the_version_in_an_address_is_of_what_is_there(tmp_path: Path) -> None:
    """Every file of a folder has one version; all that is served is at most 2 MB a page."""
    versions = {path.split("/")[1] for path in assets.all_assets() if path.startswith("docs/")}
    assert len(versions) == 1
    assert sum(len(asset.content) for path, asset in assets.all_assets().items() if path.startswith("docs/")) < 2e6


@pytest.mark.parametrize("package", vendored.PACKAGES, ids=lambda package: package.name)
def test_what_others_wrote_is_what_is_pinned(package: vendored.Package, tmp_path: Path) -> None:
    """The committed files have the pinned hashes, a changed one is noticed, and NOTICE names the package."""
    folder = vendored.FILES / package.folder
    assert vendored.wrong(folder, package) == []
    for name in package.files:
        shutil.copy(folder / name, tmp_path)
    (tmp_path / "LICENSE").write_text("Take it.")
    assert vendored.wrong(tmp_path, package) == ["LICENSE"]
    assert package.name in (vendored.FILES.parents[2] / "NOTICE").read_text("utf-8")


def test_the_document_is_valid_openapi() -> None:
    """By the schema of OpenAPI 3.1 itself; a document that is not would be told."""
    document: dict[str, Any] = openapi.document()
    _from_dict(document).validate()
    document["paths"]["/plan/status"]["get"]["parameters"][0]["in"] = "nowhere"
    with pytest.raises(Exception, match="nowhere"):
        _from_dict(document).validate()


def test_the_document_describes_every_parameter_and_requires_what_is_always_answered() -> None:
    """No parameter and no field without a description; every field of an answer that is always there is said to be."""
    document: dict[str, Any] = openapi.document()
    for name, schema in document["components"]["schemas"].items():
        for field, inside in schema.get("properties", {}).items():
            assert openapi.description(inside) or "$ref" in inside, (name, field)
    for path, methods in document["paths"].items():
        for described in methods.values():
            for parameter in described.get("parameters", []):
                assert parameter.get("description"), (path, parameter["name"])
            assert described["tags"][0] in {tag["name"] for tag in document["tags"]}
    for op in OPERATIONS.values():
        schema = document["components"]["schemas"][op.answer.__name__]
        always = {
            field.encode_name for field in msgspec.structs.fields(op.answer) if field.default is not msgspec.UNSET
        }
        assert set(schema["required"]) == always, op.name
    assert (
        hashlib.sha256(msgspec.json.encode(document)).digest()
        == hashlib.sha256(msgspec.json.encode(openapi.document())).digest()
    )
