"""JSON values in metadata, so that they come back exactly as they went. Pure."""

import json
from collections.abc import Mapping
from typing import Any, cast

_MOST_LEVELS = 20
"""The service takes 32 levels of a request; the rest is for what is around the value."""


def packed(value: Any) -> dict[str, Any]:
    """Metadata that holds the value: as it is under `value`, or as text under `json` where the service keeps no such
    JSON (NUL, lone surrogates, more levels than a request may have).

    Raises TypeError or ValueError for what is no JSON.
    """
    text = json.dumps(value, allow_nan=False)
    plain = json.loads(text)
    return {"value": plain} if _is_kept(plain) else {"json": text}


def unpacked(metadata: Mapping[str, Any] | None) -> Any:
    """What `packed` was given; None where the metadata holds no such value."""
    if metadata is None:
        return None
    text = metadata.get("json")
    return json.loads(text) if isinstance(text, str) else metadata.get("value")


def storable(text: str) -> str:
    """The text with a replacement for what the service does not keep: NUL and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _is_kept(value: Any, levels: int = 0) -> bool:
    match value:
        case str():
            return storable(value) == value
        case dict() | list():
            if levels == _MOST_LEVELS:
                return False
            inside = cast("dict[str, Any]", value) if isinstance(value, dict) else dict[str, Any]()
            items = inside.values() if isinstance(value, dict) else cast("list[Any]", value)
            return all(map(_is_kept, inside)) and all(_is_kept(item, levels + 1) for item in items)
        case _:
            return True
