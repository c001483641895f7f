"""Background work: what was accepted, and is done later by whichever process claims it."""

from aurra.jobs import embedding
from aurra.jobs.runner import run_due, work

__all__ = ["embedding", "run_due", "work"]
