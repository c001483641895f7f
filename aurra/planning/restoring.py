"""Restore: what a transaction opened is closed, what it closed is open again. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from aurra import timeline
from aurra.changes import Changes, Head
from aurra.ids import Ids
from aurra.planning.world import World
from aurra.timeline import Interval, Piece


def reopened(closed: Sequence[Piece]) -> list[Piece]:
    """What was closed, to be opened: the same memory, content, interval and link."""
    return [
        Piece(
            version=None,
            memory=piece.memory,
            lane=piece.lane,
            content=piece.content,
            start=piece.start,
            end=piece.end,
            successor=piece.successor,
            op="restore",
        )
        for piece in closed
    ]


def holders(world: World, opened: set[UUID], back: Sequence[Piece]) -> list[UUID]:
    """Versions of others that hold an instant which would be given back; `opened` are those that will be closed."""
    return [
        held.version
        for piece in back
        for held in world.lanes.get(piece.lane, ())
        if held.version is not None
        and held.version not in opened
        and timeline.overlaps(held, Interval(piece.start, piece.end))
    ]


def restore(world: World, head: Head, opened: Mapping[UUID, UUID], back: Sequence[Piece]) -> Changes:
    """The rows; `opened` are the versions to close, each with its lane. Nobody holds what is given back."""
    before = {lane: world.lanes.get(lane, ()) for lane in {*opened.values(), *(piece.lane for piece in back)}}
    for lane, was in before.items():
        kept = [piece for piece in was if piece.version not in opened]
        world.place(lane, [*kept, *(piece for piece in back if piece.lane == lane)])
    return world.settle(head, Ids(head.at), before, Changes())
