"""A published version whose registration may be pending, for synchronous code."""

from __future__ import annotations

from regista.client.async_publication import AsyncPublication
from regista.client.loop_thread import LOOP
from regista.publishing.publication import Registered


class Publication:
    """A published version whose registration may be pending. `wait` may be called again after TimedOut."""

    def __init__(self, inner: AsyncPublication) -> None:
        self._inner = inner
        self.id = inner.id
        self.model = inner.model
        self.digest = inner.digest

    def wait(self, seconds: float = 60.0) -> Registered:
        """Wait for the registered version. Raises Refused with every problem, DeadLettered, and TimedOut."""
        return LOOP.run(self._inner.wait(seconds))

    def detach(self) -> None:
        """Do not report at the end of the program what became of the message."""
        self._inner.detach()
