"""A published version whose registration may be pending."""

from __future__ import annotations

from regista.client.transport import Transport
from regista.errors import DeadLettered, Refused
from regista.publishing import publication
from regista.publishing.publication import Registered, TrainedMessage
from regista.publishing.unawaited import UNAWAITED


class AsyncPublication:
    """A published version whose registration may be pending. `wait` may be called again after TimedOut."""

    def __init__(self, transport: Transport, message: TrainedMessage) -> None:
        self._transport = transport
        self._message = message
        self.id = message.id
        self.model = message.model
        self.digest = message.digest

    async def wait(self, seconds: float = 60.0) -> Registered:
        """Wait for the registered version. Raises Refused with every problem, DeadLettered, and TimedOut."""
        try:
            found = await publication.outcome(self._transport, self._message, seconds)
        except (Refused, DeadLettered):
            self.detach()
            raise
        self.detach()
        return found

    def detach(self) -> None:
        """Do not report at the end of the program what became of the message."""
        UNAWAITED.remove(self._message)
