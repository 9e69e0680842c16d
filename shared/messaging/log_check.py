"""Decide whether a process may write to the log: at its start, after each outage, and before it publishes."""

from __future__ import annotations

import asyncpg

from shared.foundation.postgres_errors import raise_if_cancelled
from shared.log import eventlog
from shared.messaging.kafka_errors import KAFKA_ERRORS
from shared.messaging.own_topic import OwnTopic


class LogCheck:
    """What a process compares: the server's transaction ids, what others found, and its own topics."""

    def __init__(self, topics: dict[str, OwnTopic]) -> None:
        self._topics = topics

    async def all(self, database: asyncpg.Connection) -> None:
        """Compare everything. While Kafka does not answer, its part waits for the relay.

        The relay compares again before it publishes, so nothing that contradicts a topic reaches it. Raises
        LogStopped.
        """
        await eventlog.check_not_restored(database)
        for service in self._topics:
            try:
                await self.topic(service, database)
            except (*KAFKA_ERRORS, TimeoutError):
                raise_if_cancelled()
        await eventlog.check_not_stopped(database)

    async def topic(self, service: str, database: asyncpg.Connection) -> None:
        """Compare the log with the topic of one service, and let all services know. Raises LogStopped."""
        try:
            await self._topics[service].compare(database)
        except eventlog.LogStopped as stopped:
            await eventlog.stop(database, str(stopped))
            raise
        await eventlog.release(database)
