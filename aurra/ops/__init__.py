"""The core: one async function for each thing the product does, all in one registry."""

from aurra.ops import (
    accounts,
    answering,
    api_keys,
    conversations,
    erasing,
    history,
    ledger,
    memories,
    providers,
    reading,
    receipts,
    reviews,
    searching,
    subjects,
    undoing,
    verbs,
)
from aurra.ops.registry import OPERATIONS, Operation, call

__all__ = [
    "OPERATIONS",
    "Operation",
    "accounts",
    "answering",
    "api_keys",
    "call",
    "conversations",
    "erasing",
    "history",
    "ledger",
    "memories",
    "providers",
    "reading",
    "receipts",
    "reviews",
    "searching",
    "subjects",
    "undoing",
    "verbs",
]
