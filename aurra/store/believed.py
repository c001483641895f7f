"""Loads what drafts can touch, under the ledger lock and in statements after it."""

from collections.abc import Mapping, Sequence

from aurra import texts
from aurra.drafts import Draft, Turn
from aurra.planning import Believed, Slot, TwinPiece
from aurra.store import memories
from aurra.store.pool import Transaction
from aurra.timeline import Piece


async def load(tx: Transaction, drafts: Sequence[Draft], dialogs: Mapping[int, Sequence[Turn]]) -> Believed:
    """The slots, lanes, equal texts and turns that the drafts may meet."""
    believed = Believed()
    await _load_slots(tx, believed, drafts)
    await _load_twins(tx, believed, drafts)
    for draft_tenant, turns in {
        draft.dialog: (draft.tenant_id, dialogs[draft.dialog]) for draft in drafts if draft.is_verbatim_turn
    }.values():
        await _load_told(tx, believed, draft_tenant, turns)
    return believed


async def _load_slots(tx: Transaction, believed: Believed, drafts: Sequence[Draft]) -> None:
    names = list(dict.fromkeys(draft.slot_name for draft in drafts if draft.slot_name))
    if not names:
        return
    for row in await memories.slots_named(tx, names):
        believed.slots[row.tenant_id, row.subject_key, row.attribute_key] = Slot(row.id, row.cardinality)
    lanes = [slot.id for slot in believed.slots.values() if slot.cardinality == "one"]
    if lanes:
        for row in await memories.open_in_lanes(tx, lanes):
            believed.lanes.setdefault(row.lane, []).append(row.piece())
            believed.tenants[row.memory_id] = row.tenant_id


async def _load_twins(tx: Transaction, believed: Believed, drafts: Sequence[Draft]) -> None:
    fingerprints = {texts.fingerprint(draft.text) for draft in drafts if not draft.is_verbatim_turn}
    if not fingerprints:
        return
    tenants = {draft.tenant_id for draft in drafts}
    for row in await memories.twins(tx, list(fingerprints), list(tenants)):
        believed.twins.setdefault(texts.fingerprint(row.text), []).append(
            TwinPiece(row.text, row.memory_id, row.tenant_id, row.slot_id, row.source, row.valid_from, row.valid_to)
        )


async def _load_told(tx: Transaction, believed: Believed, tenant_id: str, turns: Sequence[Turn]) -> None:
    by_session: dict[str, list[str]] = {}
    for turn in turns:
        if turn.session_id and turn.message_id:
            by_session.setdefault(turn.session_id, []).append(turn.message_id)
    for session_id, message_ids in by_session.items():
        for row in await memories.told(tx, tenant_id, session_id, message_ids):
            believed.told[row.tenant_id, row.session_id, row.message_id] = row.memory_id


def stored_pieces(believed: Believed) -> list[Piece]:
    """All stored pieces in the lanes, for the receipt."""
    return [piece for pieces in believed.lanes.values() for piece in pieces if piece.version is not None]
