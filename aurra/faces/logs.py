"""What this process logs, and where to."""

import logging
import sys

import structlog

from aurra.errors import CannotStart
from aurra.settings import Settings


def configure(settings: Settings, least: int = logging.DEBUG) -> None:
    """Structured lines on standard error, from a level on or a higher one; never content, never keys."""
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    if settings.aurra_log_level.lower() not in levels:
        raise CannotStart(f"AURRA_LOG_LEVEL={settings.aurra_log_level!r} is not one of {', '.join(levels)}.")
    level = max(levels[settings.aurra_log_level.lower()], least)
    logging.basicConfig(level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s")
    # The pool tells of a database that is away by a traceback a second; what is wrong is told by us.
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
