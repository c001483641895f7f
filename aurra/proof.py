"""The proof of an answer: its hash, and what can be checked of a saved answer without the service. Pure.

`proof.md` beside this file says how anybody else computes the same.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aurra import chain

VERSION = "2.0"
_MARKER = re.compile(r"\[mem-(\d{1,9})\]")
_SPACED_MARKER = re.compile(r"\s*\[mem-\d{1,9}\]")


def answer_hash(answer: str, evidence: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256, in hexadecimal, over the canonical JSON of `answer` and `evidence`.

    Each piece of evidence has `memory_id`, `decision`, `valid_from`, `valid_to` and `cited`, in the order evaluated.
    """
    return hashlib.sha256(chain.canonical({"answer": answer, "evidence": list(evidence)})).hexdigest()


class _Window(msgspec.Struct):
    valid_from: str
    valid_to: str | None


class _Evaluated(msgspec.Struct):
    memory_id: str
    decision: str
    cited: bool
    bi_temporal: _Window

    def hashed(self) -> dict[str, Any]:
        return {
            "memory_id": self.memory_id,
            "decision": self.decision,
            "valid_from": self.bi_temporal.valid_from,
            "valid_to": self.bi_temporal.valid_to,
            "cited": self.cited,
        }


class _Retrieval(msgspec.Struct):
    memories_evaluated: int
    memories_cited: int


class _Tree(msgspec.Struct):
    version: str
    question: str
    answer_hash: str
    retrieval: _Retrieval
    evidence_chain: list[_Evaluated]


class _Citation(msgspec.Struct):
    index: int
    memory_id: str
    decision: str
    cited_by_llm: bool
    valid_from: str
    quote: str | None
    span: list[int]


class _Saved(msgspec.Struct):
    question: str
    answer: str
    answer_with_citations: str
    citations: list[_Citation]
    proof_tree: _Tree | None


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """What the check of a saved answer found: `why` it fails, or None."""

    why: str | None
    answer_hash: str
    """As computed again; empty where the file is no answer with a proof tree."""
    cited: int
    evaluated: int

    @property
    def holds(self) -> bool:
        return self.why is None


def check(saved: bytes) -> Proven:
    """Whether a saved answer of `POST /agent/query` is what its proof tree says.

    Checked: the hash; that each `[mem-N]` points to a listed citation, and to each cited one a marker; that each quote
    stands in its decision at its span; that citations, cited flags and the evidence chain agree.
    """
    try:
        answer = msgspec.json.decode(saved, type=_Saved)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Proven(
            why="this is not the JSON of an answer of POST /agent/query", answer_hash="", cited=0, evaluated=0
        )
    tree = answer.proof_tree
    if tree is None:
        why = "the answer has no proof tree; ask with include_proof_tree"
        return Proven(why=why, answer_hash="", cited=0, evaluated=0)
    computed = answer_hash(answer.answer, [one.hashed() for one in tree.evidence_chain])
    return Proven(
        why=_fault(answer, tree, computed),
        answer_hash=computed,
        cited=sum(one.cited for one in tree.evidence_chain),
        evaluated=len(tree.evidence_chain),
    )


def _fault(answer: _Saved, tree: _Tree, computed: str) -> str | None:
    """The first thing that is wrong, in one clause."""
    if tree.version != VERSION:
        return f"proof trees of version {VERSION} can be checked, this one is of another"
    if computed != tree.answer_hash:
        return f"the hash of answer and evidence is {computed}, and the proof tree says otherwise"
    if answer.question != tree.question:
        return "the proof tree is of another question"
    return _fault_of_markers(answer) or _fault_of_citations(answer, tree)


def _fault_of_markers(answer: _Saved) -> str | None:
    listed = {one.index: one for one in answer.citations}
    if list(listed) != list(range(1, len(answer.citations) + 1)):
        return "the citations are not numbered from 1 in order"
    marked = {int(number) for number in _MARKER.findall(answer.answer_with_citations)}
    if unlisted := sorted(marked - set(listed)):
        return f"[mem-{unlisted[0]}] points to no citation"
    cited = {index for index, one in listed.items() if one.cited_by_llm}
    if odd := sorted(marked ^ cited):
        return f"[mem-{odd[0]}] is marked and not cited, or cited and not marked"
    if _SPACED_MARKER.sub("", answer.answer_with_citations).split() != answer.answer.split():
        return "the answer with citations is not the answer with markers"
    return None


def _fault_of_citations(answer: _Saved, tree: _Tree) -> str | None:
    counted = (len(tree.evidence_chain), sum(one.cited for one in tree.evidence_chain))
    if (tree.retrieval.memories_evaluated, tree.retrieval.memories_cited) != counted:
        return "the counts of the retrieval are not those of the evidence"
    if len(answer.citations) != len(tree.evidence_chain):
        return "citations and evidence differ in number"
    for citation, evidence in zip(answer.citations, tree.evidence_chain, strict=True):
        if fault := _fault_of_citation(citation, evidence):
            return f"citation {citation.index} {fault}"
    return None


def _fault_of_citation(citation: _Citation, evidence: _Evaluated) -> str | None:
    listed = (citation.memory_id, citation.decision, citation.valid_from)
    if listed != (evidence.memory_id, evidence.decision, evidence.bi_temporal.valid_from):
        return "is not the evidence at its place"
    if citation.cited_by_llm != evidence.cited:
        return "and its evidence disagree on whether it is cited"
    if not citation.cited_by_llm:
        return None if citation.quote is None and not citation.span else "is quoted and not cited"
    if citation.quote is None or len(citation.span) != 2:
        return "is cited without a quote and its span"
    start, end = citation.span
    if not 0 <= start <= end <= len(citation.decision) or citation.decision[start:end] != citation.quote:
        return "has a quote that does not stand in its decision at its span"
    return None
