"""The installation's secret keys: from AURRA_SECRET_KEYS, else from a file beside the embedded database.

Never in the database, so that a dump of it holds what is sealed and not what opens it.
"""

import contextlib
import os
from pathlib import Path

import structlog

from aurra import sealing
from aurra.errors import BadRequest, CannotStart, Unavailable
from aurra.sealing import KeyRing
from aurra.settings import Settings

log = structlog.get_logger("aurra")

FILE = "secret-keys"
"""In AURRA_HOME, readable by its owner alone."""


class SecretKeys:
    """The ring of this installation, read when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises CannotStart when AURRA_SECRET_KEYS, or the file, cannot be used."""
        self._ring = (
            sealing.parse(settings.aurra_secret_keys, "AURRA_SECRET_KEYS") if settings.aurra_secret_keys else None
        )
        self._file = None if settings.dsn or self._ring else settings.home / FILE
        self.find()

    def find(self) -> KeyRing | None:
        """The ring; None where there is no key yet. Raises CannotStart for a file that cannot be used."""
        if self._ring is None and self._file is not None:
            self._ring = _read(self._file)
        return self._ring

    def get(self) -> KeyRing:
        """The ring; with the embedded database a first key is made and kept.

        Raises BadRequest (`no_secret_key`) where the operator gave none, Unavailable where it cannot be kept.
        """
        if (ring := self.find()) is not None:
            return ring
        if self._file is None:
            raise BadRequest(
                "This server cannot keep keys: its operator has not set AURRA_SECRET_KEYS; "
                "`aurra secrets new` makes a key for it.",
                code="no_secret_key",
            )
        try:
            _make(self._file)
        except OSError as error:
            raise Unavailable("A secret key cannot be kept beside the database; nothing was stored.") from error
        return self.get()


def _read(file: Path) -> KeyRing | None:
    try:
        text = file.read_text("ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise CannotStart(f"The secret keys in {file} cannot be read.") from error
    return sealing.parse(text, str(file))


def _make(file: Path) -> None:
    """The file is there, whole, with a fresh key or the one that another process made meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{FILE}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as opened:
        opened.write(sealing.new_key() + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    with contextlib.suppress(FileExistsError):
        # Unlike a rename, a link never replaces what is there.
        os.link(new, file)
        log.info("made a secret key; back it up, apart from the database", file=str(file))
    new.unlink()
