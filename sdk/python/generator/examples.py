"""The registry's examples as calls of the client. Ids are variables: what the caller has."""

from aurra.ops import Operation
from generator.structs import item_of, items_field, positional, safe


def of_call(op: Operation, method: str) -> str:
    """The call of one operation; empty where its required fields have no example."""
    arguments = _arguments(op)
    return "" if arguments is None else f"await {method}({', '.join(arguments)})"


def of_iteration(op: Operation, method: str) -> str:
    """The loop over all pages of one operation; empty where its required fields have no example."""
    items, arguments = items_field(op), _arguments(op)
    if items is None or arguments is None:
        return ""
    item = item_of(items)
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in item).lstrip("_")
    return f"async for {name} in {method}({', '.join(arguments)}):\n    print({name})"


def _arguments(op: Operation) -> list[str] | None:
    """Those by position first. None where a required one is not known."""
    known: dict[str, str] = {name: name for name in op.path_parameters}
    known |= {name: repr(value) for name, value in op.example.items()}
    first = [field for field in positional(op) if field.required]
    if any(field.encode_name not in known for field in first):
        return None
    by_name = {safe(name): source for name, source in known.items()}
    names = [safe(field.encode_name) for field in first]
    return [*(by_name.pop(name) for name in names), *(f"{name}={source}" for name, source in by_name.items())]
