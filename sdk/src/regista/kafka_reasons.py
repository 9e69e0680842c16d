"""Keep what aiokafka writes to its log only: why no broker could be reached, or refused the user."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 3
LONGEST = 200


class Reasons(logging.Handler):
    """The newest different warnings of aiokafka."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message as the newest one."""
        text = " ".join(record.getMessage().split())[:LONGEST]
        self._found = [*(one for one in self._found if one != text), text][-MOST:]

    def with_error(self, error: BaseException) -> str:
        """Return what the client logged, or the error where it logged nothing."""
        return "; ".join(self._found) or str(error) or type(error).__name__


@contextmanager
def kafka_reasons() -> Iterator[Reasons]:
    """Collect the warnings of aiokafka meanwhile."""
    reasons, logger = Reasons(), logging.getLogger("aiokafka")
    logger.addHandler(reasons)
    try:
        yield reasons
    finally:
        logger.removeHandler(reasons)
