"""Accept a restored database as the log that goes on: `regista restore accept`."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from services.kafka.topics import WRITERS
from services.local.folders import LocalError

AGAIN = 10_000
"""Events of each service that are published again after a loss.

A consumer may have read them and lost what it did with them. Its inbox makes the others harmless.
"""
BEFORE = timedelta(hours=1)
"""How long before the newest event of the log publishers' messages are read again after a loss."""

# Sessions of services; the owner sees them, because it is a member of their roles.
CONNECTED = """
SELECT DISTINCT usename FROM pg_stat_activity
WHERE datname = current_database() AND usename LIKE 'regista\\_%' AND usename <> current_user ORDER BY usename
"""
RESTORED = "SELECT coalesce(log.highest_tx() >= log.placed(pg_snapshot_xmax(pg_current_snapshot())), false)"
BEGIN = "CALL log.begin_epoch($1, $2)"
EPOCH = "SELECT max(epoch) FROM log.epochs"
RELEASE = "DELETE FROM log.stopped"
PUBLISH_AGAIN = """
UPDATE {schema}.relay_checkpoint SET (tx, seq) = (
    SELECT coalesce(max(found.tx), 0), coalesce(max(found.seq), 0) FROM (
        SELECT e.tx::text::bigint AS tx, e.seq FROM log.events e WHERE e.service = '{schema}'
        ORDER BY e.tx DESC, e.seq DESC OFFSET {again} LIMIT 1
    ) AS found
)
"""
# The log goes on under another name: what was signed under the old one stays, and contradicts nothing.
NEW_LOG = """
ALTER TABLE audit.checkpoints DISABLE TRIGGER append_only;
DELETE FROM audit.checkpoints;
ALTER TABLE audit.checkpoints ENABLE TRIGGER append_only;
UPDATE audit.tree SET origin = 'regista.log/{name}'
"""


@dataclass(slots=True)
class Accepted:
    """What was done. `epoch` is 0 when nothing had to be accepted. `origin` is set when a new log begins."""

    epoch: int = 0
    origin: str = ""
    published_again: int = 0
    topics: dict[str, dict[str, int]] = field(default_factory=dict)


async def accept(url: str, reason: str, findings: Mapping[str, Any], *, lost: bool) -> Accepted:
    """Begin an epoch in the database of the owner's `url`, in one transaction.

    `findings` are those of audit's examination. With `lost`, what the log lacks is given up: topics count
    from where they end now, the last events are published again, and a contradicted log gets another name.
    Raises LocalError.
    """
    connection = await asyncpg.connect(url, command_timeout=600)
    try:
        if running := [row[0] for row in await connection.fetch(CONNECTED)]:
            raise LocalError(f"stop the services first; connected are {', '.join(running)}")
        if not lost and not await connection.fetchval(RESTORED):
            return Accepted()
        done = Accepted(topics={t["topic"]: t["ends"] for t in findings.get("topics", ())} if lost else {})
        async with connection.transaction():
            await connection.execute(BEGIN, reason, json.dumps(done.topics))
            await connection.execute(RELEASE)
            done.epoch = await connection.fetchval(EPOCH)
            if lost:
                for service in WRITERS.values():
                    await connection.execute(PUBLISH_AGAIN.format(schema=service, again=AGAIN))
                done.published_again = AGAIN
            if lost and findings.get("checkpoints"):
                done.origin = f"regista.log/{uuid.uuid4().hex}"
                await connection.execute(NEW_LOG.format(name=done.origin.rpartition("/")[2]))
        return done
    finally:
        await connection.close()


def read_from(findings: Mapping[str, Any]) -> datetime | None:
    """Return from when on publishers' messages are read again; None for an empty log: from the beginning."""
    newest = findings.get("newest_event")
    return datetime.fromisoformat(newest) - BEFORE if newest else None


def accept_now(url: str, reason: str, findings: Mapping[str, Any], *, lost: bool) -> Accepted:
    """Run `accept`."""
    return asyncio.run(accept(url, reason, findings, lost=lost))
