"""What this service does and where, for a machine to read first: `GET /`."""

from typing import Any

from aurra import __version__
from aurra.errors import CODES
from aurra.faces import naming
from aurra.ops import OPERATIONS, Operation

_SCHEMA = "/openapi.json#/components/schemas/{name}"
FACES = {
    "rest": "/",
    "mcp": "/mcp",
    "graphql": "/graphql",
    "docs": "/docs",
    "docs_md": "/docs.md",
    "llms_txt": "/llms.txt",
    "openapi": "/openapi.json",
}
"""Where the other ways in, and what is to be read, are."""


def index() -> dict[str, Any]:
    """The index of the service."""
    return {
        "name": "aurra",
        "version": __version__,
        "description": "Memory infrastructure for AI agents. Authorization: Bearer aurra_…; read /docs.md first.",
        "openapi": FACES["openapi"],
        "health": {"live": "/health/live", "ready": "/health/ready"},
        "faces": FACES,
        "authentication": {
            "scheme": "bearer",
            "header": "Authorization",
            "signed": "aurra/signing.md in the repository",
        },
        "operations": [_operation(op) for op in OPERATIONS.values()],
        "errors": {code: {"status": status, "hint": hint} for code, (status, hint) in CODES.items()},
    }


def _operation(op: Operation) -> dict[str, Any]:
    return {
        "id": op.id,
        "name": op.name,
        "method": op.method,
        "path": op.path,
        "aliases": list(op.aliases),
        "scope": op.scope,
        "idempotent": op.is_idempotent,
        "read_only": op.is_read_only,
        "destructive": op.is_destructive,
        "summary": op.summary,
        "request": _SCHEMA.format(name=op.request.__name__),
        "answer": _SCHEMA.format(name=op.answer.__name__),
        "mcp_tool": naming.tool(op),
        "graphql_field": naming.field(op),
        "commands": naming.commands(op),
        "sdk": {"python": naming.python_method(op), "javascript": naming.javascript_method(op)},
    }
