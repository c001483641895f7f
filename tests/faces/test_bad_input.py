"""Bad input gets a 4xx that says what to do, and stores nothing: contract.md §1, trust.md §2 (Input), through HTTP."""

import datetime as dt
import json
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from aurra.ops import OPERATIONS, Operation
from tests.conftest import Account
from tests.faces.wire import (
    BULK,
    MEMORIES,
    NOWHERE,
    PLAN,
    QUERY,
    SEARCH,
    SETTINGS,
    encoded,
    list_of,
    nothing_stored,
    ok,
    problem,
    raw_post,
    require_no_null,
)

MIB = 1024 * 1024
GOOD: dict[str, dict[str, Any]] = {
    MEMORIES: {"content": "Kim likes tea"},
    BULK: {"memories": [{"content": "Kim likes tea"}]},
    SEARCH: {"query": "tea"},
    QUERY: {"question": "tea"},
    f"/memories/{NOWHERE}/supersede": {"valid_to": "2099-01-01"},
}
POSTS = list(GOOD)


async def _refuse(account: Account, path: str, body: bytes, status: int, code: str | None = None) -> dict[str, Any]:
    return problem(await raw_post(account, path, body), status, code)


def _nested(levels: int) -> bytes:
    """A write whose JSON is that many levels deep; its own object and `metadata` are two of them."""
    inner = levels - 3
    return b'{"content":"deep","metadata":{"a":' + b"[" * inner + b"{}" + b"]" * inner + b"}}"


# ---- bytes that are no JSON object


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"content":',
        b'{"content":"x"',
        b'{"content":"x"}}',
        b'{"content":"x"} {"content":"y"}',
        b'{"content":"x",}',
        b"{'content':'x'}",
        b'{content:"x"}',
        b"content=x",
        b'{"content":"x" "topic":"y"}',
        b'{"content":NaN}',
        b'{"importance_score":Infinity}',
        b'{"importance_score":-Infinity}',
        b'{"importance_score":01}',
        b'{"importance_score":0x10}',
        b'{"content":"\\x41"}',
        b'{"content":"\\u12"}',
        b'{"content":"tab\there"}',
        b'{"content":"raw\x00nul"}',
        b'{"a\x00b":1}',
        b"<xml/>",
        b"\x00",
        b"\xef\xbb\xbf{}{",
        b"// comment",
    ],
    ids=repr,
)
async def test_malformed_json_is_400(account: Account, body: bytes) -> None:
    """Malformed JSON → 400 malformed_json, on every path."""
    for path in POSTS:
        said = await _refuse(account, path, body, 400, "malformed_json")
        assert isinstance(said["detail"], str)


@pytest.mark.parametrize("path", POSTS)
async def test_json_that_is_no_object_is_refused(account: Account, path: str) -> None:
    """A body is a JSON object: another value is the caller's mistake."""
    async with nothing_stored(account):
        for body in (b"[]", b'[{"content":"x"}]', b'"x"', b"1", b"1.5", b"null", b"true"):
            said = problem(await raw_post(account, path, body))
            assert said["code"] in ("malformed_json", "validation_error")


@pytest.mark.parametrize("path", POSTS)
async def test_invalid_utf8_is_400(account: Account, path: str) -> None:
    """Invalid UTF-8, in values, keys and outside strings, is 400 and never 500."""
    good = encoded(GOOD[path])[1:-1]
    async with nothing_stored(account):
        for bad in (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80", b"\xe2\x82"):
            for field in (b'"topic":"%s"', b'"%s":1', b'"metadata":{"a":["%s"]}', b'"unknown":{"a":["%s"]}', b"%s"):
                await _refuse(account, path, b"{%s,%s}" % (good, field % bad), 400, "malformed_json")


@pytest.mark.parametrize("path", POSTS)
async def test_nul_and_lone_surrogates_are_400_and_named(account: Account, path: str) -> None:
    """NUL and lone surrogates, as escapes, in any string, key or nested value → 400 invalid_text, which says so."""
    good = encoded(GOOD[path])[1:-1]
    async with nothing_stored(account):
        for escape in (b"\\u0000", b"a\\u0000b", b"\\ud800", b"\\uD83D", b"\\udc00", b"\\ud83dx", b"\\udc00\\ud800"):
            for field in (b'"topic":"%s"', b'"metadata":{"a":["%s"]}', b'"metadata":{"%s":1}', b'"unknown":"%s"'):
                await _refuse(account, path, b"{%s,%s}" % (good, field % escape), 400, "invalid_text")


async def test_escapes_that_only_look_like_it_are_stored(account: Account) -> None:
    """A backslash before `u0000` is text, and a pair of surrogates is a character."""
    for body, text in (
        (b'{"content":"\\\\u0000 is an escape"}', "\\u0000 is an escape"),
        (b'{"content":"\\ud83d\\ude00 \\uD83D\\uDE00"}', "😀 😀"),
        (b'{"content":"\\\\ud800"}', "\\ud800"),
        (b'{"content":"\\u0001 \\u001f \\u007f \\ufffe \\uffff x"}', "\x01 \x1f \x7f \ufffe \uffff x"),
    ):
        ok(await raw_post(account, MEMORIES, body))
        assert (await list_of(account, limit=1))[0]["decision"] == text


async def test_json_may_be_32_levels_deep_and_no_deeper(account: Account) -> None:
    """Depth ≤ 32: 32 levels are stored and given back, 33 and 100,000 are 400 too_deep."""
    ok(await raw_post(account, MEMORIES, _nested(32)))
    [memory] = await list_of(account)
    assert memory["metadata"] == msgspec.json.decode(_nested(32))["metadata"]
    async with nothing_stored(account):
        await _refuse(account, MEMORIES, _nested(33), 400, "too_deep")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("levels", [33, 1_000, 100_000])
async def test_deep_nesting_is_400(account: Account, path: str, levels: int) -> None:
    """Deep nesting, closed or not, in any field, is 400 and never 500."""
    for body in (
        b'{"metadata":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}",
        b'{"unknown":' + b'{"a":' * (levels - 1) + b"1" + b"}" * levels,
    ):
        await _refuse(account, path, body, 400, "too_deep")
    for body in (b"[" * levels, b'{"a":' * levels):
        await _refuse(account, path, body, 400)


async def test_brackets_inside_strings_are_no_levels(account: Account) -> None:
    """Only JSON's own brackets count, and text may have as many as it likes."""
    for text in ("[" * 1000, '{"a":' * 200, '\\"[' * 100, '["]' * 50):
        assert (await account.post(MEMORIES, content=text))["status"] == "saved"
        assert (await list_of(account, limit=1))[0]["decision"] == text


async def test_a_string_that_never_ends_is_refused_at_once(account: Account) -> None:
    """No body makes the service busy: an unclosed string of escaped quotes is refused in the time of any other."""
    body = b'{"a":[' + b"[]," * 40 + b'"' + b'\\"' * 16_000
    before = time.process_time()
    await _refuse(account, MEMORIES, body, 400)
    assert time.process_time() - before < 0.5


# ---- headers and sizes


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "*/*"]
)
async def test_another_content_type_is_415(account: Account, kind: str | None) -> None:
    """The body must be JSON: another or no Content-Type is 415."""
    async with nothing_stored(account):
        for path in POSTS:
            headers = {} if kind is None else {"Content-Type": kind}
            response = await account.client.post(path, content=encoded(GOOD[path]), headers=headers)
            problem(response, 415, "unsupported_media_type")


async def test_json_content_types_are_taken(account: Account) -> None:
    """JSON content types, with parameters and in any case; published clients send one on GET, too."""
    kinds = ("application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json")
    for number, kind in enumerate(kinds):
        body = encoded({"content": f"memory {number}"})
        ok(await account.client.post(MEMORIES, content=body, headers={"Content-Type": kind}))
    ok(await account.client.get(MEMORIES, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "x"])
async def test_an_encoded_body_is_415(account: Account, encoding: str) -> None:
    """Identity encoding only."""
    async with nothing_stored(account):
        response = await raw_post(account, MEMORIES, encoded(GOOD[MEMORIES]), **{"Content-Encoding": encoding})
        problem(response, 415, "unsupported_media_type")
    ok(await raw_post(account, MEMORIES, encoded(GOOD[MEMORIES]), **{"Content-Encoding": "identity"}))


@pytest.mark.parametrize("name", ["Authorization", "Host", "Content-Length"])
async def test_a_header_sent_twice_is_400(account: Account, app: Any, name: str) -> None:
    """One Authorization, Host, Content-Length: a second one, even an equal one, is 400 duplicate_header."""
    body = encoded(GOOD[MEMORIES])
    values = {"Authorization": f"Bearer {account.key}", "Host": "aurra", "Content-Length": str(len(body))}
    headers = [("Content-Type", "application/json"), *values.items(), (name, values[name])]
    async with nothing_stored(account), httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as client:
        problem(await client.post(f"http://aurra{MEMORIES}", content=body, headers=headers), 400, "duplicate_header")


@pytest.mark.parametrize("length", ["²", "-1", "1e3", "abc", "9" * 5000, "99999999999999"])
async def test_a_content_length_that_is_none_is_never_a_500(account: Account, length: str) -> None:
    """A Content-Length that says nothing sensible is at worst the caller's mistake."""
    headers = [(b"Content-Type", b"application/json"), (b"Content-Length", length.encode("latin-1"))]
    response = await account.client.post(MEMORIES, content=encoded(GOOD[MEMORIES]), headers=headers)
    assert response.status_code < 500, response.text


async def test_a_body_over_one_mib_is_413(account: Account) -> None:
    """Body ≤ 1 MiB on every path but bulk; at the limit it is stored, however it is sent."""
    async with nothing_stored(account):
        for path in POSTS:
            body = encoded({**GOOD[path], "unknown": ""})
            padded = body[:-2] + b"x" * (MIB - len(body) + 1) + body[-2:]
            assert len(padded) == MIB + 1
            if path != BULK:
                await _refuse(account, path, padded, 413, "body_too_large")
    frame = encoded({"content": ""})
    text = "x" * (MIB - len(frame))
    assert ok(await raw_post(account, MEMORIES, encoded({"content": text})))["status"] == "saved"
    assert (await list_of(account))[0]["decision"] == text


async def test_a_body_without_a_length_is_counted(account: Account) -> None:
    """A chunked body over the limit is 413, too."""

    async def chunks() -> AsyncGenerator[bytes]:
        yield b'{"content":"'
        for _ in range(17):
            yield b"x" * (64 * 1024)
        yield b'"}'

    async with nothing_stored(account):
        response = await account.client.post(MEMORIES, content=chunks(), headers={"Content-Type": "application/json"})
        problem(response, 413, "body_too_large")


async def test_bulk_takes_8_mib_and_no_more(account: Account) -> None:
    """Bulk: 8 MiB."""
    items = [{"content": f"{number} " + "x" * 990_000} for number in range(8)]
    body = encoded({"memories": items})
    assert 7 * MIB < len(body) < 8 * MIB
    assert ok(await raw_post(account, BULK, body))["saved_count"] == 8
    async with nothing_stored(account):
        await _refuse(account, BULK, encoded({"memories": [*items, *items[:1]]}), 413, "body_too_large")


# ---- wrong types, for every field of every operation


class _Kind:
    """JSON values, by the type that JSON gives them."""

    values: Mapping[str, Any] = {
        "null": None,
        "boolean": True,
        "integer": 3,
        "huge": 10**400,
        "number": 1.5,
        "string": "a",
        "array": [1],
        "object": {"a": 1},
    }


def _taken(type_: inspect.Type) -> set[str]:
    """The kinds of JSON values that a type takes."""
    match type_:
        case inspect.UnionType():
            return {kind for one in type_.types for kind in _taken(one)}
        case inspect.Metadata():
            return _taken(type_.type)
        case inspect.NoneType():
            return {"null"}
        case inspect.BoolType():
            return {"boolean"}
        case inspect.IntType():
            return {"integer", "huge"}
        case inspect.FloatType():
            return {"integer", "huge", "number"}
        case inspect.StrType():
            return {"string"}
        case inspect.ListType():
            return {"array"}
        case inspect.DictType() | inspect.StructType():
            return {"object"}
        case _:
            raise AssertionError(f"a type the test does not know: {type_}")


def _struct(type_: inspect.Type) -> tuple[inspect.StructType | None, bool]:
    """The Struct inside a type, if any, and whether in a list."""
    match type_:
        case inspect.UnionType():
            return next((found for one in type_.types if (found := _struct(one))[0]), (None, False))
        case inspect.Metadata():
            return _struct(type_.type)
        case inspect.StructType():
            return type_, False
        case inspect.ListType():
            return _struct(type_.item_type)[0], True
        case _:
            return None, False


_FILLED: dict[str, dict[str, Any]] = {
    "MemoryWrite": {"content": "x"},
    "Message": {"role": "user", "content": "x"},
    "LlmChoice": {"provider": "openai", "model": "m"},
    "BulkWrite": {"memories": [{"content": "x"}]},
    "Search": {"query": "x"},
    "Question": {"question": "x"},
    "Supersede": {"valid_to": "2099-01-01"},
    "Correct": {"content": "y", "reason": "x"},
    "Retract": {},
    "Delete": {},
    "Restore": {},
    "Erase": {},
    "EraseMatching": {"session_id": "s"},
    "AgentSettingsChange": {},
    "ProviderChange": {"provider": "ollama", "model": "m"},
    "Nothing": {},
    "ConversationAdd": {"session_id": "s", "turns": [{"role": "user", "content": "x"}]},
    "SubjectUpdate": {"external_id": "e"},
    "ReviewAccept": {},
    "ReviewReject": {},
    "ReceiptReplay": {},
    "ApiKeyCreate": {"scopes": ["query"]},
    "ApiKeyChange": {},
    "ApiKeyRevoke": {},
    "ApiKeyRotate": {},
}


_INNER = {"Message", "LlmChoice"}


def _wrong(struct: inspect.StructType) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(field, kind, body) for each field of the Struct, and of the Structs inside, with a value of a wrong type."""
    filled = _FILLED[struct.cls.__name__]
    for field in struct.fields:
        ids = ("memory_id", "review_id", "receipt_id", "tx", "key_id")
        if field.name in ids or (struct.cls.__name__, field.name) == ("SubjectUpdate", "subject"):
            continue
        # A field with a default takes null for "not given", at the top of a request.
        nullable: set[str] = set() if field.required or struct.cls.__name__ in _INNER else {"null"}
        taken = _taken(field.type) | nullable
        for kind in _Kind.values.keys() - taken:
            yield field.name, kind, {**filled, field.name: _Kind.values[kind]}
        inner, in_list = _struct(field.type)
        if inner is None:
            continue
        outer = {name: value for name, value in filled.items() if field.name != "messages" or name != "content"}
        for name, kind, body in _wrong(inner):
            yield f"{field.name}.{name}", kind, {**outer, field.name: [body] if in_list else body}


def _cases() -> list[Any]:
    cases: list[Any] = []
    for op in OPERATIONS.values():
        if op.method == "GET":
            continue
        by_field: dict[str, dict[str, dict[str, Any]]] = {}
        for field, kind, body in _wrong(_type_of(op)):
            by_field.setdefault(field, {})[kind] = body
        cases += [pytest.param(op, field, bodies, id=f"{op.name}-{field}") for field, bodies in by_field.items()]
    return cases


def _type_of(op: Operation) -> inspect.StructType:
    found = inspect.type_info(op.request)
    assert isinstance(found, inspect.StructType)
    return found


@pytest.mark.parametrize(("op", "field", "bodies"), _cases())
async def test_a_wrong_type_is_422_naming_the_field(
    account: Account, op: Operation, field: str, bodies: dict[str, dict[str, Any]]
) -> None:
    """422: a field has the wrong type; the error names it, and nothing is stored."""
    path = op.path.replace("{memory_id}", await account.add("Kim likes tea")).replace("{tx}", "1")
    path = path.replace("{subject}", "kim")
    path = path.replace("{review_id}", NOWHERE)
    path = path.replace("{receipt_id}", NOWHERE).replace("{key_id}", "00000000")
    headers = {"Content-Type": "application/json"}
    async with nothing_stored(account):
        for kind, body in bodies.items():
            response = await account.client.request(op.method, path, content=encoded(body), headers=headers)
            said = problem(response, 422, "validation_error")
            assert said["param"].endswith(field.rsplit(".", 1)[-1]), (kind, said)


async def test_every_write_operation_is_covered() -> None:
    """An operation with a body and without a case here fails this test."""
    covered = {case.values[0].name for case in _cases()}
    with_body = (op for op in OPERATIONS.values() if op.method != "GET")
    assert covered == {op.name for op in with_body if set(op.request.__struct_fields__) - set(op.path_parameters)}


@pytest.mark.parametrize(
    ("path", "body", "missing"),
    [
        (BULK, {}, "memories"),
        (SEARCH, {"limit": 3}, "query"),
        (QUERY, {}, "question"),
        (MEMORIES, {"messages": [{"role": "user"}]}, "content"),
        (MEMORIES, {"messages": [{"content": "x"}]}, "role"),
        (BULK, {"memories": [{"messages": [{"role": "user"}]}]}, "content"),
    ],
)
async def test_a_missing_field_is_422_naming_it(
    account: Account, path: str, body: dict[str, Any], missing: str
) -> None:
    """422: a required field is missing."""
    async with nothing_stored(account):
        said = problem(await account.client.post(path, json=body), 422, "validation_error")
    assert said["param"].endswith(missing)
    assert missing in said["detail"]


# ---- values


@pytest.mark.parametrize("name", ["valid_from", "valid_to"])
async def test_absurd_and_naive_times_of_a_write(account: Account, name: str) -> None:
    """Naive or malformed → 422; years outside 0001-01-02 … 9999-12-30 → 400; nothing is stored."""
    async with nothing_stored(account):
        for value, status in (
            ("2024-01-01T00:00:00", 422),
            ("2024-01-01 00:00", 422),
            ("2024-13-01", 422),
            ("2024-02-30T00:00:00Z", 422),
            ("2024-01-01T25:00:00Z", 422),
            ("2024-01-01T00:00:00+99:00", 422),
            ("20240101", 422),
            ("1700000000", 422),
            ("now", 422),
            ("", 422),
            ("2024", 422),
            ("infinity", 422),
            ("٢٠٢٤-٠١-٠١", 422),
            ("0000-01-01", 400),
            ("0001-01-01", 400),
            ("0001-01-02T00:00:00+00:01", 400),
            ("9999-12-31", 400),
            ("9999-12-30T23:59:59-00:01", 400),
            ("10000-01-01T00:00:00Z", 400),
        ):
            said = problem(await account.client.post(MEMORIES, json={"content": "x", name: value}), status)
            assert said["param"] == name, value


async def test_the_edges_of_time_are_taken_and_given_back(account: Account) -> None:
    """0001-01-02 and 9999-12-30 are inside, to the microsecond."""
    await account.add("all", valid_from="0001-01-02", valid_to="9999-12-30T23:59:59.999999Z")
    [memory] = await list_of(account)
    assert memory["valid_from"] == "0001-01-02T00:00:00.000000+00:00"
    assert memory["valid_to"] == "9999-12-30T23:59:59.999999+00:00"
    assert await account.decisions(as_of="0001-01-02") == ["all"]
    assert await account.decisions(as_of="9999-12-30") == ["all"]


async def test_empty_and_reversed_intervals_are_400(account: Account) -> None:
    """Empty or reversed intervals → 400 empty_interval, in whatever offsets they are written."""
    async with nothing_stored(account):
        for start, end in (
            ("2024-01-01", "2024-01-01"),
            ("2024-01-02", "2024-01-01"),
            ("2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00Z"),
            ("2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00Z"),
            (None, "2001-01-01"),
        ):
            body = {"content": "x", "valid_from": start, "valid_to": end}
            problem(await account.client.post(MEMORIES, json=body), 400, "empty_interval")


async def test_absurd_times_of_a_turn_name_the_turn(account: Account) -> None:
    """`messages[n].at`: naive → 422, far → 400; the error names the turn."""
    async with nothing_stored(account):
        for value, status in (("2024-01-01T00:00:00", 422), ("soon", 422), ("9999-12-31", 400)):
            turns = [{"role": "user", "content": "a"}, {"role": "user", "content": "b", "at": value}]
            said = problem(await account.client.post(MEMORIES, json={"messages": turns}), status)
            assert said["param"] == "messages[1].at"


@pytest.mark.parametrize(
    "literal", [b"1e400", b"-1e400", b"1" + b"0" * 400, b"1e-400", b"123456789012345678901234567890"]
)
async def test_numbers_beyond_any_range_are_stored_exactly_or_refused(account: Account, literal: bytes) -> None:
    """A number that cannot be kept is refused, never stored as something else, and never a 500."""
    response = await raw_post(account, MEMORIES, b'{"content":"x","metadata":{"n":%s}}' % literal)
    if response.status_code == 200:
        answer = await account.client.get(MEMORIES)
        assert ok(answer)["memories"][0]["metadata"]["n"] == msgspec.json.decode(literal)
    else:
        problem(response)
        assert await list_of(account) == []


@pytest.mark.parametrize("path", POSTS)
async def test_huge_numbers_in_any_place_are_never_a_500(account: Account, path: str) -> None:
    """Huge ints, overflowing floats: 4xx, or what the field takes."""
    good = encoded(GOOD[path])[1:-1]
    for name in (b"limit", b"importance_score", b"transaction_as_of", b"metadata", b"unknown"):
        for literal in (b"1" + b"0" * 400, b"-1" + b"0" * 30, b"9223372036854775808", b"1e400", b"1" + b"0" * 5000):
            response = await raw_post(account, path, b'{%s,"%s":%s}' % (good, name, literal))
            assert response.status_code < 500, (name, literal[:20], response.text)
            if response.status_code != 200:
                problem(response)


SHORT = [
    "topic",
    "source",
    "tenant_id",
    "session_id",
    "subject",
    "attribute",
    "cardinality",
    "importance",
    "extraction",
    "external_id",
    "valid_from",
    "valid_to",
    "reason",
]


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("text", ["x" * 100_000, "😀" * 25_000, " " * 100_000], ids=["x", "emoji", "blank"])
async def test_very_long_strings_in_short_fields_of_a_write(account: Account, name: str, text: str) -> None:
    """100 kB in a short field: a 4xx that names it, or kept whole; never a 500."""
    body = {"content": "Kim likes tea", "subject": "kim", name: text}
    response = await account.client.post(MEMORIES, json=body)
    if response.status_code == 200:
        assert ok(response)["status"] == "saved"
        tenant = {"tenant_id": text} if name == "tenant_id" else {}
        shown = await list_of(account, **tenant)
        assert len(shown) == 1
        assert shown[0].get(name, text) == text
    else:
        assert problem(response)["param"] == name
        assert (await account.get(PLAN))["writes_used"] == 0


@pytest.mark.parametrize("name", ["role", "name", "at", "id"])
async def test_very_long_strings_in_a_turn(account: Account, name: str) -> None:
    """100 kB as a role, a speaker, an instant or a message id: a 4xx that names it."""
    turn = {"role": "user", "content": "x", name: "x" * 100_000}
    async with nothing_stored(account):
        response = await account.client.post(MEMORIES, json={"messages": [turn], "extraction": "verbatim"})
        assert problem(response)["param"] == f"messages[0].{name}"


@pytest.mark.parametrize("path", [SEARCH, QUERY])
async def test_very_long_strings_in_a_search(account: Account, path: str) -> None:
    """100 kB in any field of a search or question: a 4xx, or simply nothing found."""
    ask = "query" if path == SEARCH else "question"
    await account.add("Kim likes tea")
    long = "x" * 100_000
    for name in (ask, "tenant_id", "subject", "session_id", "as_of", "transaction_as_of"):
        response = await account.client.post(path, json={ask: "tea", name: long})
        assert response.status_code < 500, (name, response.text)
        if response.status_code == 200:
            assert response.json()["memories"] == []
        else:
            problem(response)
    for name in ("sources", "topics"):
        for value in ([long], ["x"] * 20_000):
            response = await account.client.post(path, json={ask: "tea", name: value})
            assert response.status_code < 500, (name, response.text)


async def test_very_long_strings_in_the_settings(account: Account) -> None:
    """100 kB in a setting: a 4xx, or kept; later requests work."""
    for body in ({"classifier_model": "x" * 100_000}, {"excluded_categories": ["x" * 100_000] * 5}):
        response = await account.client.patch(SETTINGS, json=body)
        assert response.status_code < 500
    await account.add("Kim likes tea")


async def test_many_distinct_words_are_stored(account: Account) -> None:
    """A memory of a megabyte of distinct words is stored whole, though full-text search has its limits."""
    text = " ".join(f"w{number:x}" for number in range(100_000))
    assert (await account.post(MEMORIES, content=text))["status"] == "saved"
    assert (await list_of(account))[0]["decision"] == text


TEXTS = [
    "👩‍👩‍👧‍👦 family 🏳️‍🌈 flags 🇳🇴",
    "שלום עולם — العربية ‏RTL‎ mixed",
    "e\u0301 and \u00e9 are not made equal",
    "Z\u0351\u036b\u0343a\u0334l\u0321go\u0489",
    "日本語と中文和한국어",
    "\u202eoverride\u202c \u200b\u2060\ufeff zero width",
    "𝕳𝖊𝖑𝖑𝖔 \U0010ffff",
    "quotes \" ' ` \\ / <script>alert(1)</script> %s {0} ${x}",
    "'; DROP TABLE memory; --",
    "line\nbreak\r\ntab\t\x85\u2028\u2029end",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_any_script_is_given_back_exactly(account: Account, text: str) -> None:
    """Stored as received: emoji, right-to-left, combining, control; in every field that keeps text."""
    fields = {
        "topic": text,
        "source": text,
        "tenant_id": text,
        "session_id": text,
        "external_id": text,
        "metadata": {text: [text]},
    }
    answer = await account.post(MEMORIES, content=text, **fields)
    assert answer["tenant_id"] == text
    [memory] = await list_of(account, tenant_id=text, source=text, topic=text, session_id=text)
    assert memory["decision"] == text
    assert {name: memory[name] for name in fields} == fields
    found = await account.post(SEARCH, query=text, tenant_id=text)
    assert [one["decision"] for one in found["memories"]] == [text]
    require_no_null(await account.post(QUERY, question=text, tenant_id=text))
    turn = {"role": "user", "content": text, "name": text, "id": text}
    turns = await account.post(MEMORIES, messages=[turn], extraction="verbatim", tenant_id="turns")
    [said] = await list_of(account, tenant_id="turns")
    assert said["id"] == turns["memory_ids"][0]
    assert (said["source_citation"]["message_id"], said["source_citation"]["speaker"]) == (text, text)


async def test_subjects_compare_as_they_look(account: Account) -> None:
    """Subject and attribute compare trimmed, NFC, case-folded; shown as first written."""
    first = await account.add("Oslo", subject="Jos\u00e9 Stra\u00dfe", attribute="City")
    second = await account.add("Rome", subject=" jose\u0301 STRASSE ", attribute="CITY")
    assert first != second
    [memory] = await list_of(account)
    assert (memory["decision"], memory["subject"], memory["attribute"]) == ("Rome", "Jos\u00e9 Stra\u00dfe", "City")


@pytest.mark.parametrize(
    "query",
    [
        "limit=abc",
        "limit=",
        "limit=1.5",
        "limit=0x10",
        "include_superseded=maybe",
        "include_superseded=2",
        "as_of=%00",
        "tenant_id=%00",
        "tenant_id=a%00b",
        "source=%00",
        "cursor=%00",
        "%00=1",
        "as_of=%FF",
        "transaction_as_of=-1",
        "transaction_as_of=1.5",
        "transaction_as_of=",
        "transaction_as_of=true",
        "as_of=",
        "cursor=%FF",
    ],
)
async def test_query_string_junk_is_a_4xx(account: Account, query: str) -> None:
    """A value of the wrong type or form in a query string: 4xx that names the field, never 500."""
    problem(await account.client.get(f"{MEMORIES}?{query}"))


@pytest.mark.parametrize(
    "query",
    ["tenant_id=%FF", "source=%FF%FE", "%FF=1", "tenant_id=%ED%A0%80", "&&&=&", "tenant_id", "=", "?", "a=b=c", "%zz"],
)
async def test_query_strings_that_are_odd_are_never_a_500(account: Account, query: str) -> None:
    """Odd query strings are read or refused."""
    response = await account.client.get(f"{MEMORIES}?{query}")
    if response.status_code != 200:
        problem(response)


@pytest.mark.parametrize("query", ["dry_run=maybe", "dry_run=", "reason=%00"])
async def test_a_retraction_with_junk_retracts_nothing(account: Account, query: str) -> None:
    """A DELETE whose query string cannot be read changes nothing."""
    memory_id = await account.add("Kim likes tea")
    async with nothing_stored(account):
        problem(await account.client.delete(f"/memories/{memory_id}?{query}"))


@pytest.mark.parametrize("given", ["true", "True", "1", "false", "0"])
async def test_booleans_of_a_query_string(account: Account, given: str) -> None:
    """`include_superseded=true` as clients write it: true, True, 1 and their opposites."""
    await account.add("old", subject="kim", attribute="city")
    await account.add("new", subject="kim", attribute="city")
    shown = await account.decisions(include_superseded=given)
    assert shown == (["new", "old"] if given.lower() in ("true", "1") else ["new"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "no_such_path"),
        ("POST", "/v1/agent/memories", 404, "no_such_path"),
        ("GET", "/agent/memories/x/y/z", 404, "no_such_path"),
        ("GET", "/%00", 404, "no_such_path"),
        ("GET", "/%FF", 404, "no_such_path"),
        ("GET", "/é/\u202e", 404, "no_such_path"),
        ("PUT", MEMORIES, 405, "method_not_allowed"),
        ("DELETE", MEMORIES, 405, "method_not_allowed"),
        ("PATCH", QUERY, 405, "method_not_allowed"),
        ("GET", QUERY, 405, "method_not_allowed"),
        ("POST", PLAN, 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("BREW", MEMORIES, 405, "method_not_allowed"),
    ],
)
async def test_unknown_paths_and_methods_have_json_bodies(
    account: Account, method: str, path: str, status: int, code: str
) -> None:
    """An unknown path is 404 and an unknown method 405, in the form of every other error."""
    problem(await account.client.request(method, path), status, code)


async def test_an_error_repeats_neither_content_nor_key(account: Account) -> None:
    """Messages never carry memory content or keys."""
    secret = "canary-7f3a"
    for body in (
        {"content": secret, "importance_score": 11},
        {"content": secret, "messages": [{"role": "user", "content": secret}]},
        {"content": [secret]},
        {"messages": [{"role": "user", "content": secret}], "llm": {"provider": "openai", "api_key": secret}},
        {"content": "x", "llm": {"api_key": [secret]}},
    ):
        response = await account.client.post(MEMORIES, json=body)
        problem(response)
        assert secret not in response.text
        assert account.key not in response.text


# ---- anything at all

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_STORABLE = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_STORABLE_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | _STORABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_STORABLE, inner, max_size=4),
    max_leaves=12,
)
_QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _numbers_by_value(value: Any) -> Any:
    """The same with JSON's numbers as decimals: 1e2 and 100 are one JSON number, two Python ones."""
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


@_QUICK
@given(text=_STORABLE.filter(lambda text: bool(text.strip())), metadata=st.dictionaries(_STORABLE, _STORABLE_JSON))
async def test_what_is_stored_is_what_is_given_back(account: Account, text: str, metadata: dict[str, Any]) -> None:
    """Content and metadata come back exactly as they were sent, whatever they are."""
    body = encoded({"content": text, "metadata": metadata, "extraction": "auto", "tenant_id": "t"})
    answer = ok(await raw_post(account, MEMORIES, body))
    memory = (await account.get(f"/memories/{answer['memory_id']}"))["memory"]
    if answer["status"] == "saved":
        assert memory["decision"] == text
        assert _numbers_by_value(memory["metadata"]) == _numbers_by_value(metadata)
    ok(await account.client.delete(f"/memories/{answer['memory_id']}"))


@_QUICK
@given(body=st.dictionaries(st.sampled_from([*SHORT, "content", "messages", "metadata", "llm", "limit"]), _JSON))
async def test_any_json_object_is_answered_without_a_500(account: Account, body: dict[str, Any]) -> None:
    """Whatever the values: 200, or a 4xx in the contract's form."""
    for path, name in ((MEMORIES, "content"), (SEARCH, "query")):
        response = await raw_post(account, path, encoded({name: "x", **body}))
        if response.status_code != 200:
            problem(response)


@_QUICK
@given(text=_STORABLE | st.text(alphabet="&|!():*<->'\"\\\\ a1é-_%", max_size=40))
async def test_any_question_is_answered(account: Account, text: str) -> None:
    """Whatever is asked: 200, or 400 when there is nothing in it."""
    for path, name in ((SEARCH, "query"), (QUERY, "question")):
        response = await raw_post(account, path, encoded({name: text}))
        if text.strip():
            ok(response)
        else:
            problem(response, 400)


@_QUICK
@given(body=st.binary(max_size=200))
async def test_any_bytes_are_answered_without_a_500(account: Account, body: bytes) -> None:
    """Whatever the bytes: a 4xx in the contract's form, and nothing stored."""
    for path in (SEARCH, BULK):
        problem(await raw_post(account, path, body))
    assert (await account.get(PLAN))["writes_used"] == 0


@_QUICK
@given(
    query=st.dictionaries(st.sampled_from(["limit", "as_of", "transaction_as_of", "cursor", "tenant_id"]), st.text())
)
async def test_any_query_string_is_answered_without_a_500(account: Account, query: dict[str, str]) -> None:
    """Whatever the query string: 200, or a 4xx in the contract's form."""
    query = {name: text.encode("utf-8", "replace").decode() for name, text in query.items()}
    response = await account.client.get(MEMORIES, params=query)
    if response.status_code != 200:
        problem(response)


# Hypothesis wants them naive.
_FIRST, _LAST = dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29)  # noqa: DTZ001
_INSTANTS = st.datetimes(min_value=_FIRST, max_value=_LAST, timezones=st.just(dt.UTC))
_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))


@_QUICK
@given(times=st.lists(_INSTANTS, min_size=2, max_size=2, unique=True), offsets=st.tuples(_OFFSETS, _OFFSETS))
async def test_instants_are_given_back_to_the_microsecond(
    account: Account, times: list[dt.datetime], offsets: tuple[dt.timezone, dt.timezone]
) -> None:
    """Valid times come back as the same instants, in UTC, whatever offset they were sent with."""
    sent = [time.astimezone(offset) for time, offset in zip(sorted(times), offsets, strict=True)]
    body = {"content": "x", "valid_from": sent[0].isoformat(), "valid_to": sent[1].isoformat()}
    written = ok(await account.client.post(MEMORIES, json=body))
    memory = (await account.get(f"/memories/{written['memory_id']}"))["memory"]
    assert [memory["valid_from"], memory["valid_to"]] == [
        time.isoformat(timespec="microseconds") for time in sorted(times)
    ]
    ok(await account.client.delete(f"/memories/{written['memory_id']}"))
