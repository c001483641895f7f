"""What can be listed, filtered and sorted: the five collections, and their columns."""

import msgspec

from aurra.ops import filtering, nodes
from aurra.ops.filtering import Kind
from aurra.ops.nodes import Fetch
from aurra.store.collections import Name, Order
from aurra.types.api_keys import ApiKey
from aurra.types.conversations import Conversation
from aurra.types.history import TransactionEntry
from aurra.types.memories import Memory
from aurra.types.subjects import Subject


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What is listed, and by what it can be filtered and sorted."""

    name: Name
    operation: str
    """That which lists the same: whoever may use it sees the collection."""
    shown: type[msgspec.Struct]
    columns: tuple[str, ...]
    left_out: dict[str, str]
    """Fields that are no columns, and why."""
    unsorted: tuple[str, ...] = ()
    """Columns that are too long to be part of a cursor."""
    natural: tuple[Order, ...]
    """The order where none is asked for."""
    unique: str
    """What tells rows apart that are alike in all that they are sorted by."""
    fetch: Fetch
    is_of_all_tenants: bool = False
    """Whether it goes over all tenants where none is named."""
    has_moment: bool = True

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column."""
        return filtering.kinds_of(self.shown, self.columns)

    @property
    def sortable(self) -> tuple[str, ...]:
        """The columns that it can be sorted by."""
        return tuple(name for name, kind in self.kinds.items() if kind != "texts" and name not in self.unsorted)


_DERIVED = "is derived from other fields at the moment that is read"
_OBJECT = "is no single value"

MEMORIES = Collection(
    name="memories",
    operation="memories.list",
    shown=Memory,
    columns=(
        "id", "decision", "summary", "topic", "importance_score", "source", "session_id", "people", "action_items",
        "created_at", "valid_from", "valid_to", "superseded_by", "transaction_time_start", "transaction_time_end",
        "subject", "attribute", "external_id", "version", "trust",
    ),
    left_out={
        "importance": "says what `importance_score` does, in three words",
        "channel": "is the session of what was said in one",
        "original_message": "is in the messages of the conversation",
        "company_id": "is one for all",
        "tenant_id": "is the argument `tenant_id`",
        "freshness": _DERIVED,
        "source_citation": _OBJECT,
        "temporal": _OBJECT,
        "metadata": _OBJECT,
    },
    unsorted=("decision", "summary"),
    natural=(Order("created_at", True, False), Order("id", True, False), Order("valid_from", True, False)),
    unique="version",
    fetch=nodes.memory_nodes,
)  # fmt: skip
SUBJECTS = Collection(
    name="subjects",
    operation="subjects.list",
    shown=Subject,
    columns=("subject", "external_id", "memories"),
    left_out={"attributes": _DERIVED},
    natural=(Order("subject_key", False, False),),
    unique="subject_key",
    fetch=nodes.subject_nodes,
)
TRANSACTIONS = Collection(
    name="transactions",
    operation="transactions.list",
    shown=TransactionEntry,
    columns=("id", "at", "verb", "actor", "reason", "request_id", "model", "writes"),
    left_out={"opened_count": _DERIVED, "closed_count": _DERIVED, "hash": "is found by nothing but its transaction"},
    unsorted=("reason",),
    natural=(Order("id", True, False),),
    unique="id",
    fetch=nodes.transaction_nodes,
    is_of_all_tenants=True,
)
CONVERSATIONS = Collection(
    name="conversations",
    operation="conversations.list",
    shown=Conversation,
    columns=("session_id", "channel", "external_id", "uri", "created_at"),
    left_out={
        "tenant_id": "is the argument `tenant_id`",
        "metadata": _OBJECT,
        "turns": _DERIVED,
        "memories": _DERIVED,
        "started_at": _DERIVED,
        "last_at": _DERIVED,
        "pending": _DERIVED,
    },
    unsorted=("uri",),
    natural=(Order("created_at", True, False), Order("session_id", True, False)),
    unique="session_id",
    fetch=nodes.conversation_nodes,
)
KEYS = Collection(
    name="keys",
    operation="keys.list",
    shown=ApiKey,
    columns=(
        "id", "name", "last_four", "scopes", "tenant_id", "trust", "networks", "up_to", "is_signed", "state",
        "expires_at", "revoked_at", "created_at", "created_by", "last_used_at",
    ),
    left_out={"previous_until": _DERIVED},
    natural=(Order("created_at", True, False), Order("id", True, False)),
    unique="id",
    fetch=nodes.key_nodes,
    is_of_all_tenants=True,
    has_moment=False,
)  # fmt: skip
COLLECTIONS = (MEMORIES, SUBJECTS, TRANSACTIONS, CONVERSATIONS, KEYS)
