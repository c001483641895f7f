"""What every face calls an operation; each follows from the registry by one rule."""

from aurra.ops import Operation

COMMANDS = {"keys": "api-keys"}
"""Nouns that the command line calls otherwise: `aurra keys` are the operator's."""


def tool(op: Operation) -> str:
    """The MCP tool."""
    return op.id


def field(op: Operation) -> str:
    """The GraphQL field, of Query where it only reads, else of Mutation."""
    return op.id


def commands(op: Operation) -> list[str]:
    """The commands that run it, `aurra NOUN VERB` first."""
    noun, _, verb = op.name.partition(".")
    words = f"{COMMANDS.get(noun, noun)} {verb}".replace("_", "-")
    # Fields in braces are arguments that need no name.
    short = " ".join(part.strip("{}").upper() if part.startswith("{") else part for part in (op.command or "").split())
    return [f"aurra {words}", *([f"aurra {short}"] if short else [])]


def python_method(op: Operation) -> str:
    """The method of `aurra_sdk`'s clients."""
    return f"client.{op.name}"


def javascript_method(op: Operation) -> str:
    """The method of the JavaScript client."""
    head, *rest = op.name.split("_")
    return "client." + head + "".join(part.title() for part in rest)
