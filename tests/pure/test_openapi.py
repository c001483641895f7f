"""What the OpenAPI document says for those who generate clients from it."""

from typing import Any

from aurra.faces import openapi
from aurra.ops import OPERATIONS

DOCUMENT = openapi.document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
DESCRIBED = {
    described["x-aurra-name"]: described for methods in DOCUMENT["paths"].values() for described in methods.values()
}


def test_each_operation_names_the_schema_of_all_its_fields() -> None:
    """Those of the path too, which no body has."""
    assert set(DESCRIBED) == set(OPERATIONS)
    for op in OPERATIONS.values():
        name = DESCRIBED[op.name]["x-aurra-request"].removeprefix("#/components/schemas/")
        assert set(SCHEMAS[name].get("properties", {})) == set(op.request.__struct_encode_fields__), op.name


def test_what_may_be_sent_again_is_said() -> None:
    """Reads, also those by POST, and what a key makes idempotent; nothing else."""
    assert {name for name, described in DESCRIBED.items() if not described["x-aurra-repeatable"]} == {
        op.name for op in OPERATIONS.values() if op.keyless and op.scope not in ("query", "memories:read")
    }
    assert DESCRIBED["memories.query"]["x-aurra-repeatable"]
    assert not DESCRIBED["keys.revoke"]["x-aurra-repeatable"]


def test_what_every_answer_has_is_required() -> None:
    """A default is sent like any other value; what may be unset is not required, nor is anything new of a request."""
    assert "warnings" in SCHEMAS["PlanStatus"]["required"]
    assert "excluded_categories" in SCHEMAS["AgentSettings"]["required"]
    assert "auto_supersede" not in SCHEMAS["BulkItem"]["required"]
    assert SCHEMAS["MemoryWrite"]["required"] == []
