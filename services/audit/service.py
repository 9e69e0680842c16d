"""Run audit: it appends no event, so it has neither streams nor a relay."""

from __future__ import annotations

import logging
from functools import partial

from services.audit import index_writer, sealing
from services.audit.api import ROUTES
from services.audit.checkpoint_copies.guard import PublishedCheckpoints
from services.audit.export.process import Exports
from services.audit.leader import follow_log
from services.audit.log_verification.verifier import Verifier, check_invariants
from services.audit.measurements import measurements
from services.audit.parts import Parts
from services.audit.public_events.feeds import Limits, PublicEvents
from services.audit.settings import AuditSettings
from shared.deciding.events import EventTypes
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

log = logging.getLogger(__name__)

SERVICE = Service("audit", (), {}, EventTypes(()), project=lambda _: (), publish=lambda _: None)


async def start(app: App, parts: Parts) -> Parts:
    """Reset an outdated index before anything is served, and log whether the log is exported."""
    async with app.pool.acquire() as connection:
        await index_writer.reset_outdated_index(connection)
    if parts.store is None:
        log.info(
            "the log is not exported: neither REGISTA_HISTORY_S3_ENDPOINT nor REGISTA_HISTORY_DIR is set"
        )
    else:
        log.info("the log is exported", extra={"store": parts.store.uri})
    return parts


async def check_sealing(app: App) -> None:
    """Raise SealingLags while events wait too long to be sealed; any replica sees it."""
    async with app.pool.acquire() as connection:
        await sealing.check_lag(connection)


async def check_verified(app: App) -> None:
    """Raise InvariantBroken while a violation of an invariant is stored."""
    await check_invariants(app.pool)


def process(app: App) -> Process:
    """Return what this service runs."""
    key, settings = app.settings.signing_key(), AuditSettings.extending(app.settings)
    events = PublicEvents(Limits(settings.event_feeds, settings.event_feeds_of_caller))
    verifier = Verifier(key, settings.verify_all_every)
    parts = Parts(key, verifier, Exports(settings), settings.store(), events)
    return Process(
        SERVICE,
        routes=ROUTES,
        start=partial(start, parts=parts),
        background=[
            partial(follow_log, key=key, published=PublishedCheckpoints(key, settings.copies())),
            parts.verifier.run,
            events.tail.run,
            *([parts.exports.run] if parts.store else []),
        ],
        checks={"sealing": check_sealing, "invariants": check_verified},
        measurements=measurements(settings),
    )
