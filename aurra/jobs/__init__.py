"""Background work: what was accepted, and is done later by whichever process claims it."""

from aurra.jobs import extraction, indexing
from aurra.jobs.runner import run_due, work

__all__ = ["extraction", "indexing", "run_due", "work"]
