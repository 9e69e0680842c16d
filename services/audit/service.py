"""audit as the kernel runs it: it owns no part of the log, so it has neither streams nor a relay."""

from __future__ import annotations

import logging
from functools import partial

from regista.wire.keys import BadKey, SigningKey, load_signing_key
from services.audit import log_reader, sealing
from services.audit.api import routes
from services.audit.export.process import Exports
from services.audit.export.stores import HistoryStore
from services.audit.history_api import HistoryApi
from services.audit.settings import AuditSettings
from services.audit.tailer import tail
from shared.deciding.events import EventTypes
from shared.deciding.service import Service
from shared.foundation.settings import Settings, SettingsWrong
from shared.http.app import App
from shared.run import Process

log = logging.getLogger(__name__)

SERVICE = Service("audit", (), {}, EventTypes(()), project=lambda _: (), publish=lambda _: None)


async def start(app: App, kept: HistoryStore | None) -> None:
    """The schema is there before anything is served.

    Whether history is exported is said: nothing else shows that it is not.
    """
    async with app.pool.acquire() as connection:
        await log_reader.reset_outdated_index(connection)
    if kept is None:
        log.info(
            "history is not exported: neither REGISTA_HISTORY_S3_ENDPOINT nor REGISTA_HISTORY_DIR is set"
        )
    else:
        log.info("history is exported", extra={"place": kept.uri})


async def sealing_keeps_up(app: App) -> None:
    """Raises while events wait too long to be sealed; any replica sees it."""
    async with app.pool.acquire() as connection:
        await sealing.check_lag(connection)


def signing_key(settings: Settings) -> SigningKey:
    """The key that signs checkpoints. Raises SettingsWrong."""
    settings.require("signing_key_file")
    try:
        return load_signing_key(settings.signing_key_file)
    except (OSError, BadKey) as error:
        raise SettingsWrong(f"REGISTA_SIGNING_KEY_FILE: {error}") from error


def process(app: App) -> Process:
    """What this service runs."""
    key, settings = signing_key(app.settings), AuditSettings.extending(app.settings)
    kept, exports = settings.store(), Exports(settings)
    return Process(
        SERVICE,
        routes=[*routes(key), *HistoryApi(kept, exports).routes()],
        start=partial(start, kept=kept),
        background=[partial(tail, key=key), *([exports.run] if kept else [])],
        checks={"sealing": sealing_keeps_up},
    )
