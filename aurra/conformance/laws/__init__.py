"""The laws by theme; importing this package registers them all."""

from aurra.conformance.law import LAWS, Law
from aurra.conformance.laws import (
    asserting,
    correcting,
    ending,
    erasing,
    lanes,
    ledger,
    past,
    reading,
    retracting,
    subjects,
    tenants,
    textbook,
    times,
    writing,
)

_THEMES = (
    past,
    lanes,
    textbook,
    asserting,
    ending,
    correcting,
    retracting,
    erasing,
    times,
    reading,
    ledger,
    writing,
    tenants,
    subjects,
)

ALL: dict[str, Law] = {
    name: law for theme in _THEMES for name, law in LAWS.items() if law.play.__module__ == theme.__name__
}
"""Every law by its name, theme by theme."""
