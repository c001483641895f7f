"""Background work: what was accepted, and is done later by whichever process claims it."""

from aurra.jobs import embedding, extraction, indexing
from aurra.jobs.runner import run_due, work

__all__ = ["embedding", "extraction", "indexing", "run_due", "work"]
