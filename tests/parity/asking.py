"""What every face is asked, from the registry: for each operation a request that succeeds, and what it names."""

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from aurra.ops import Operation
from tests.conftest import Account
from tests.faces.every_write import CASES
from tests.isolation.cases import NAMES, request_of

Json = dict[str, Any]
_BY_PLACE = {
    "id": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "hash": re.compile(r"\b[0-9a-f]{32,64}\b"),
    "at": re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00"),
    "key": re.compile(r"aurra_(?:live|sign)_[0-9A-Za-z]{43,}"),
    "cursor": re.compile(r'(?<="next_cursor":")[^"]+'),
    "key id": re.compile(r'(?<="id":")[0-9A-Za-z]{8}(?=")|(?<=\bkey )[0-9A-Za-z]{8}\b'),
    "four": re.compile(r'(?<="last_four":")[0-9A-Za-z]{4}'),
}


async def written(op: Operation, account: Account) -> Json:
    """The fields of a write that succeeds once in a fresh account; what it needs is there afterwards."""
    if op.name not in CASES:
        made = await account.post("/api-keys", name="agent", scopes=["query"])
        return request_of(op, {"api_key": [made["api_key"]["id"]]})
    case = await CASES[op.name](account)
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", op.path)
    found = re.fullmatch(pattern, case.path)
    assert found is not None, f"the case of {op.name} is not asked at {op.path}"
    return {**case.body, **{name: unquote(value) for name, value in found.groupdict().items()}}


def named(op: Operation) -> bool:
    """Whether its path names something that one account has and another has not."""
    return any(NAMES.get(name) in ("memory", "receipt", "review", "api_key") for name in op.path_parameters)


def plain(body: Json) -> str:
    """All of an answer but what is of its own moment: ids, hashes, secrets and instants, each by its place."""
    text = msgspec.json.encode(_sorted(body)).decode()
    for name, pattern in _BY_PLACE.items():
        places: dict[str, str] = {}
        text = pattern.sub(lambda match, of=places, as_=name: of.setdefault(match[0], f"<{as_} {len(of)}>"), text)
    return text


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, list):
        return [_sorted(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    # JavaScript has one kind of number, and writes 30.0 as 30.
    return int(value) if isinstance(value, float) and value.is_integer() else value
