"""LoCoMo as the bench reads it: conversations of dated sessions, and questions with the turns that answer them.

The file stays where it is; nothing of it becomes part of the project (CC BY-NC 4.0: evaluation only).
"""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import msgspec

ADVERSARIAL = 5
"""Questions that name the wrong person: a refusal is right."""
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open domain", 4: "single hop", ADVERSARIAL: "adversarial"}
DEFAULT_FILE = Path(__file__).parents[2].parent / "shared" / "data" / "locomo-dev.json"

_DATE = "%I:%M %p on %d %B, %Y"
_TURN_ID = re.compile(r"D\d+:\d+")


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn: its `dia_id`, who said it, in which session and when; the caption of a shared photo is in the text."""

    id: str
    session: str
    role: str
    speaker: str
    text: str
    at: dt.datetime


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question, and the ids of the turns that answer it."""

    text: str
    category: int
    gold: frozenset[str]
    answer: str
    """As the file has it; empty for the adversarial ones."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation; `sessions` are in order of time."""

    name: str
    sessions: dict[str, list[Turn]]
    questions: list[Asked]

    @property
    def turns(self) -> int:
        """How many turns it has."""
        return sum(map(len, self.sessions.values()))


def load(file: Path, names: str = "all") -> list[Conversation]:
    """The conversations of the file; of all, or of the comma-separated names. Raises SystemExit when one is unknown."""
    known = {found.name: found for found in map(_conversation, msgspec.json.decode(file.read_bytes()))}
    wanted = list(known) if names == "all" else names.split(",")
    if missing := [name for name in wanted if name not in known]:
        raise SystemExit(f"{file.name} has no conversation {', '.join(missing)}: it has {', '.join(known)}.")
    return [known[name] for name in wanted]


def session_of(turn_id: str) -> str:
    """The session's number, of a `dia_id` such as D4:12."""
    return turn_id.partition(":")[0]


def _conversation(raw: dict[str, Any]) -> Conversation:
    talk = raw["conversation"]
    numbers = sorted(int(key.split("_")[1]) for key in talk if re.fullmatch(r"session_\d+", key))
    sessions = {f"session_{number}": _turns(talk, number) for number in numbers}
    ids = {turn.id for turns in sessions.values() for turn in turns}
    questions = [
        Asked(
            text=item["question"],
            category=item["category"],
            gold=frozenset(_ids(item["evidence"])) & ids,
            answer=str(item.get("answer", "")),
        )
        for item in raw["qa"]
    ]
    return Conversation(name=raw["sample_id"], sessions=sessions, questions=questions)


def _turns(talk: dict[str, Any], number: int) -> list[Turn]:
    """A session's turns, one minute apart from its beginning."""
    began = dt.datetime.strptime(talk[f"session_{number}_date_time"], _DATE).replace(tzinfo=dt.UTC)
    return [
        Turn(
            id=raw["dia_id"],
            session=f"session_{number}",
            role="user" if raw["speaker"] == talk["speaker_a"] else "assistant",
            speaker=raw["speaker"],
            text=_said(raw),
            at=began + dt.timedelta(minutes=minute),
        )
        for minute, raw in enumerate(talk[f"session_{number}"])
    ]


def _said(raw: dict[str, Any]) -> str:
    caption = raw.get("blip_caption")
    return f"{raw['text']} [shares a photo: {caption}]".strip() if caption else raw["text"]


def _ids(evidence: list[str]) -> list[str]:
    """The ids; one string of the file may hold two."""
    return [found for entry in evidence for found in _TURN_ID.findall(entry)]
