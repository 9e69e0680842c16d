"""Run the parts of a process, and end the process when one of them ends."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine
from typing import Any

from shared.foundation.readiness import Readiness
from shared.foundation.telemetry import error_summary

log = logging.getLogger(__name__)

ENDS_WITHIN = 5.0
"""Seconds in which the process ends after a part of it ended, whatever the other parts wait for."""


class PartEnded(Exception):  # noqa: N818
    """A part that runs for the life of the process ended without an error."""


class ProcessParts:
    """The parts of a process, which run until `stop` is set."""

    def __init__(self, readiness: Readiness, stop: asyncio.Event) -> None:
        self._readiness = readiness
        self._stop = stop
        self._deadline: threading.Timer | None = None

    def run(self, group: asyncio.TaskGroup, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a part in the group."""
        return group.create_task(self._part(name, work), name=name)

    async def _part(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a part of the process. When it ends before `stop` is set, in whatever way, the process ends."""
        try:
            await work
            ended: BaseException = PartEnded(f"{name} ended without an error")
        except asyncio.CancelledError as cancelled:
            if self._stop.is_set() or self._readiness.ended:
                raise
            ended = PartEnded(f"{name} was cancelled")
            ended.__cause__ = cancelled
        except BaseException as error:  # noqa: BLE001 - raised below
            ended = error
        if not self._stop.is_set():
            self._end(name, ended)
            raise ended
        if not isinstance(ended, PartEnded):
            raise ended

    def started(self, starting: asyncio.Task[None]) -> None:
        """End the process when its start failed."""
        if not starting.cancelled() and (error := starting.exception()) is not None:
            self._end("start", error)

    def _end(self, name: str, error: BaseException) -> None:
        """Let the process end within ENDS_WITHIN: a part that does not end by itself must not keep it alive.

        The deadline is a thread's, so that it is kept even when the event loop is blocked.
        """
        if self._readiness.ended:
            return
        self._readiness.ended = name
        self._readiness.wait("process", f"its part {name} ended ({error_summary(error)}): it ends, too")
        self._deadline = threading.Timer(ENDS_WITHIN, self._give_up, (name,))
        self._deadline.daemon = True
        self._deadline.start()

    def _give_up(self, name: str) -> None:
        log.critical("%s ended, and other parts did not end within %s s: the process ends", name, ENDS_WITHIN)
        logging.shutdown()
        os._exit(1)

    def close(self) -> None:
        """Let the process end by itself: all its parts have ended."""
        if self._deadline is not None:
            self._deadline.cancel()
