"""Report, when the program ends, what became of the messages on Kafka that it did not wait for."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
from collections import deque

from regista.client.loop_thread import InlineExecutor
from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.client.transport import Transport
from regista.errors import DeadLettered, Refused, RegistaError
from regista.publishing import publication
from regista.publishing.publication import TrainedMessage

log = logging.getLogger("regista")

MOST = 100
"""Messages whose outcome is looked up: the newest ones. Others are counted."""
SHOWN = 5
"""Messages without an outcome that are named. Others are counted."""
EXIT_SECONDS = 10.0
"""Time limit of all look-ups together."""
AT_ONCE = 8
ADVICE = "call wait() on what publish() returns, or detach() when the outcome does not matter"


class Unawaited:
    """The messages of this process that `wait` has not been called for, over all clients."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Profile, TrainedMessage]] = deque(maxlen=MOST)
        self._dropped = 0
        self._registered = False

    def add(self, profile: Profile, message: TrainedMessage) -> None:
        """Add a message that was sent."""
        if not self._registered:
            self._registered = True
            atexit.register(self.report)
        self._dropped += len(self._kept) == MOST
        self._kept.append((profile, message))

    def remove(self, message: TrainedMessage) -> None:
        """Remove a message whose outcome is known, or does not matter."""
        for one in tuple(self._kept):
            if one[1] is message:
                self._kept.remove(one)

    def clear(self) -> None:
        """Drop all messages: a forked child did not send them."""
        self._kept.clear()
        self._dropped = 0

    def report(self) -> None:
        """Log a warning for each message that was refused or has no outcome. Raises nothing."""
        if self._kept:
            with contextlib.suppress(Exception):
                asyncio.run(self._report(tuple(self._kept)))
        if self._dropped:
            log.warning("%d more publications were not waited for; %s", self._dropped, ADVICE)

    async def _report(self, messages: tuple[tuple[Profile, TrainedMessage], ...]) -> None:
        asyncio.get_running_loop().set_default_executor(InlineExecutor())
        gate, deadline = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop().time() + EXIT_SECONDS
        transports = {
            id(profile): Transport(profile, Patience(total=EXIT_SECONDS)) for profile, _ in messages
        }

        async def one(profile: Profile, message: TrainedMessage) -> str:
            async with gate:
                left = max(0.5, deadline - asyncio.get_running_loop().time())
                return await _report_one(transports[id(profile)], message, left)

        unknown = [why for why in await asyncio.gather(*[one(*message) for message in messages]) if why]
        for why in unknown[:SHOWN]:
            log.warning("%s (%s)", why, ADVICE)
        if len(unknown) > SHOWN:
            log.warning("%d more have no known outcome", len(unknown) - SHOWN)
        for transport in transports.values():
            await transport.close()


async def _report_one(transport: Transport, message: TrainedMessage, seconds: float) -> str:
    """Log what became of a message; return a sentence where that is not known, else ""."""
    what = f"the publication {message.id} of {message.model}, which was not waited for,"
    try:
        found = await publication.outcome(transport, message, seconds)
    except Refused as refused:
        problems = "; ".join(f"{p.field}: {p.problem}" for p in refused.problems)
        log.warning("%s was refused: %s (%s)", what, problems, ADVICE)
    except DeadLettered as dead:
        log.warning("%s was refused: %s (%s)", what, dead.detail, ADVICE)
    except RegistaError as error:
        return f"{what} has no known outcome: {error.detail}"
    else:
        log.info("%s was registered as %s %s", what, found.model, found.semver or found.number)
    return ""


UNAWAITED = Unawaited()
os.register_at_fork(after_in_child=UNAWAITED.clear)
