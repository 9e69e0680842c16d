"""Run this service as a process: it serves until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from services.mlflow.service import Front
from services.mlflow.settings import MlflowSettings
from services.mlflow.upstream import Upstream
from shared.foundation.event_loop import Loop
from shared.foundation.settings import WRONG_SETTING, SettingsWrong
from shared.foundation.telemetry import set_up_logs
from shared.http.server import Server

NAME = "mlflow"
log = logging.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM, and exit: 0 after it, 78 because of a setting, 1 because of anything else."""
    set_up_logs(NAME, "INFO")
    try:
        settings = MlflowSettings.read()
        set_up_logs(NAME, settings.log_level)
        logging.getLogger("httpx").setLevel("WARNING")  # it writes a line with the path of every request
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_serve(settings))
    except SettingsWrong as wrong:
        log.critical("cannot start: a setting is wrong", extra={"error": str(wrong)})
        sys.exit(WRONG_SETTING)
    except Exception as error:
        log.critical("cannot start", exc_info=error)
        sys.exit(1)


async def _serve(settings: MlflowSettings) -> None:
    upstream = Upstream(settings)
    server = Server(Front(settings, upstream).application(), settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    try:
        await server.run()
    finally:
        await upstream.close()
    log.info("stopped")
