"""What hosts can attach to a conversation: a subject's profile, a memory; and the one prompt."""

import re
from urllib.parse import quote, unquote

import msgspec

from aurra.errors import NotFound
from aurra.faces.mcp import tools
from aurra.faces.mcp.telling import Asker, Json
from aurra.ops import OPERATIONS, Operation

_URI = re.compile(r"aurra://(\w+)/([^?#]+)")
_KINDS = {"subjects": OPERATIONS["subjects.get"], "memories": OPERATIONS["memories.get"]}
"""What comes after `aurra://`, and the operation that answers; what follows is the parameter of its path."""
_LIST = OPERATIONS["subjects.list"]
_PAGE = 100
_JSON = "application/json"

PROMPT: Json = {
    "name": "remember_conversation",
    "title": "Remember this conversation",
    "description": "Stores what matters of this conversation as memories.",
    "arguments": [
        {"name": "session_id", "description": "A name for this conversation; the same appends.", "required": True},
        {"name": "subject", "description": "Whom or what it is about, where it is one.", "required": False},
    ],
}


def templates(asker: Asker) -> list[Json]:
    """The templates of what the asker may read."""
    return [
        {
            "uriTemplate": f"aurra://{kind}/{{{_parameter(op)}}}",
            "name": op.id,
            "title": tools.described(op)["title"],
            "description": tools.description(op),
            "mimeType": _JSON,
        }
        for kind, op in _KINDS.items()
        if asker.may(op)
    ]


async def listed(asker: Asker, cursor: str | None) -> Json:
    """A page of subjects in the order of their names; none for a key that may not read them. Raises as `tools.ask`."""
    if not asker.may(_LIST):
        return {"resources": []}
    asked = await tools.ask(asker, _LIST, {"limit": _PAGE, **({"cursor": cursor} if cursor else {})})
    page: Json = msgspec.to_builtins(asked.answer)
    resources = [
        {
            "uri": f"aurra://subjects/{quote(found['subject'], safe='')}",
            "name": found["subject"],
            "description": f"Memories about it: {found['memories']}.",
            "mimeType": _JSON,
        }
        for found in page["subjects"]
    ]
    return {"resources": resources, **({"nextCursor": page["next_cursor"]} if page["next_cursor"] else {})}


async def read(asker: Asker, uri: str) -> Json:
    """What the URI names, as JSON. Raises as `tools.ask`, and NotFound for what is no URI of ours."""
    given = _URI.fullmatch(uri)
    op = _KINDS.get(given[1]) if given else None
    if given is None or op is None:
        raise NotFound("There is no such resource; aurra://subjects/… and aurra://memories/… are.")
    asked = await tools.ask(asker, op, {_parameter(op): unquote(given[2])})
    return {"contents": [{"uri": uri, "mimeType": _JSON, "text": msgspec.json.encode(asked.answer).decode()}]}


def _parameter(op: Operation) -> str:
    (name,) = op.path_parameters
    return name


def remember_conversation(session_id: str, subject: str | None) -> str:
    """What the prompt says to the model."""
    about = f" It is about {subject!r}: give that as `subject` where it fits." if subject else ""
    return (
        f"Remember this conversation in Aurra.{about}\n\n"
        f"1. Call `conversations_add` with session_id {session_id!r} and the turns of this conversation that matter, "
        "word for word, each with its role; Aurra makes facts of them, and every fact cites its turn.\n"
        "2. Where something should be remembered that nobody said in so many words (a decision, a preference, an "
        "outcome), call `memories_add` for each: one fact in one sentence as `content`, with `subject` and "
        "`attribute` where it is the value of something (so that a later value takes over from it), and `valid_from` "
        "where it is not true since just now.\n"
        "3. Leave out small talk, secrets, and what is known already; `memories_search` tells.\n"
        "4. Say in one or two sentences what is remembered now."
    )
