"""Run the service.

`python -m services.audit rebuild` reads the log again into a new index; `… export [--all]` exports the sealed
log; `… doctor` compares the log with what was published of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

import asyncpg

from services.audit import doctor, index_writer
from services.audit.service import process
from services.audit.settings import AuditSettings
from shared.foundation.postgres import CONNECTION_ERRORS
from shared.foundation.settings import Settings, SettingsWrong
from shared.run import main


async def rebuild(url: str) -> index_writer.Rebuilt:
    """Rebuild the index of the database at `url`, beside a running service."""
    connection = await asyncpg.connect(url, command_timeout=60)
    try:
        await index_writer.reset_outdated_index(connection)
        return await index_writer.rebuild(connection)
    finally:
        await connection.close()


BY_SERVICE, EVERYTHING = ["--settings", "-"], ["--all"]


def export(arguments: list[str]) -> str:
    """Export what is planned.

    Started by hand, plan first; the service passes its settings on the standard input.
    """
    from services.audit.export import chunks, work  # noqa: PLC0415 - Arrow and minio are for this process only
    from services.audit.export.stores import NoSuchFile, StoreUnavailable  # noqa: PLC0415

    async def planned_and_exported(settings: AuditSettings) -> int:
        settings.require("database_url")
        target = settings.store()
        if target is None:
            raise SettingsWrong("name a store: REGISTA_HISTORY_S3_ENDPOINT or REGISTA_HISTORY_DIR")
        if arguments != BY_SERVICE:
            connection = await asyncpg.connect(settings.database_url, command_timeout=600)
            try:
                await index_writer.reset_outdated_index(connection)
                everything = arguments == EVERYTHING
                await chunks.plan(
                    connection,
                    settings.history_chunk_leaves,
                    settings.history_chunk_bytes,
                    everything=everything,
                )
            finally:
                await connection.close()
        return await work.export(settings, target)

    if arguments not in ([], EVERYTHING, BY_SERVICE):
        sys.exit("usage: python -m services.audit export [--all]")
    try:
        settings = (
            AuditSettings.model_validate_json(sys.stdin.read())
            if arguments == BY_SERVICE
            else AuditSettings.from_environment()
        )
        return f"{asyncio.run(planned_and_exported(settings))} chunks exported\n"
    except work.Busy as e:
        return f"{e}\n"
    except (SettingsWrong, StoreUnavailable, NoSuchFile, work.LogChanged, work.HistoryDiffers) as e:
        sys.exit(str(e))
    except CONNECTION_ERRORS as e:
        sys.exit(f"the database is unreachable ({type(e).__name__}: {e}): repeat the export later")


def progress(line: str) -> None:
    """Report the progress of a comparison on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


async def examined() -> doctor.Findings:
    """Compare the log with what was published of it; report the progress on stderr."""
    settings = AuditSettings.from_environment()
    settings.require("database_url")
    return await doctor.examine(settings, settings.signing_key(), progress)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rebuild"]:
            rebuilt = asyncio.run(rebuild(Settings.from_environment().database_url))
            sys.stdout.write(f"{rebuilt.events} events read, generation {rebuilt.generation} is shown\n")
        case ["doctor"]:
            findings = asyncio.run(examined())
            sys.stdout.write(json.dumps(asdict(findings)) + "\n")
            differs = findings.lost or findings.damaged or findings.restored
            sys.exit(1 if differs else 2 if findings.unknown else 0)
        case ["export", *arguments]:
            sys.stdout.write(export(arguments))
        case _:
            main(process)
