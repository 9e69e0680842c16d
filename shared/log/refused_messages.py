"""Keep why a message was dead-lettered, so that its signer can be answered.

The rows stand in the inbox, under sources that no cause has. They are neither truth nor read model.
"""

from __future__ import annotations

import asyncpg
import msgspec

FIND = "SELECT outcome FROM {schema}.inbox WHERE source = $1 AND id = $2"
RECORD = """
INSERT INTO {schema}.inbox (source, id, digest, outcome) VALUES ($1, $2, '', $3)
ON CONFLICT (source, id) DO UPDATE SET outcome = excluded.outcome, recorded_at = now()
"""
LONGEST = 1_500
"""Bytes of source and id together: an index entry has at most 2,704."""


class RefusedMessage(msgspec.Struct, frozen=True):
    """Why a message was dead-lettered.

    `authentic`: its signature was verified. Otherwise only its headers claim source, id and subject.
    """

    subject: str
    code: str
    reason: str
    authentic: bool
    dead_letter: str = ""


_decode = msgspec.json.Decoder(RefusedMessage).decode


class RefusedMessages:
    """The refused messages of one service, by their source and id. The newest refusal counts."""

    def __init__(self, pool: asyncpg.Pool, schema: str) -> None:
        self._pool = pool
        self._find, self._record = (sql.format(schema=schema) for sql in (FIND, RECORD))

    async def record(self, source: str, id_: str, refused: RefusedMessage) -> None:
        """Record a refusal.

        One that is not authentic does not replace one that is, nor does one without a dead letter (the same
        message, read again).
        """
        if not source or not id_ or len(f"{source}{id_}".encode()) > LONGEST:
            return
        kept = await self.find(source, id_)
        if kept is not None and (not refused.dead_letter or (kept.authentic and not refused.authentic)):
            return
        await self._pool.execute(self._record, _key(source), id_, msgspec.json.encode(refused))

    async def find(self, source: str, id_: str) -> RefusedMessage | None:
        """Return why the message was refused, or None."""
        found = await self._pool.fetchval(self._find, _key(source), id_)
        return None if found is None else _decode(found)


def _key(source: str) -> str:
    return f"refused-message{source}"
