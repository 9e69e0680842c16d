"""The due work of this service, each kind with the target as its key.

One replica at a time works on a target, because it holds the lease of its row.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from services.mirror import queries
from services.mirror.copying import Copying
from services.mirror.domain import target_commands as c
from services.mirror.domain.target import is_mirrored, stream_of
from services.mirror.domain.target_events import Differs
from services.mirror.domain.target_state import RANK
from services.mirror.parts import Parts
from services.mirror.projections import CHECK, SURVEY, WORK
from services.mirror.queries import DueCopy, Followed
from services.mirror.targets import open_target
from services.mirror.targets.base import Refused, Unavailable
from shared.deciding.access import namespace_of
from shared.deciding.decider import RuleBroken
from shared.deciding.submission import Submission
from shared.log.due_work import DueRow, DueWork

if TYPE_CHECKING:
    from shared.http.app import App

ROUND = 50
"""Versions of one round of a target; then other targets may be next."""
ROUND_SECONDS = 60.0
LEASE = 10.0
"""Seconds after which another replica goes on with the target of a process that was killed."""
LONGEST_ROUND = 6 * 3600.0
"""Seconds that one version may take."""
SURVEYED = 500
"""Versions that a survey requests in one step."""


def due_work(app: App) -> list[DueWork]:
    """Return the handler of each kind of due work."""
    return [
        DueWork(WORK, partial(mirror, app), lease=LEASE, timeout=LONGEST_ROUND),
        DueWork(SURVEY, partial(survey, app), concurrency=1),
        DueWork(CHECK, partial(check, app), concurrency=2),
    ]


async def mirror(app: App, row: DueRow) -> Sequence[Submission]:
    """Bring the versions in step that wait for an attempt, one after the other.

    Each result is committed before the next version, so a crash repeats one version only. The target gets
    no second version by that: it has ours under its tag.
    """
    found = await queries.targets(app.pool, row.key)
    copies = await queries.due_copies(app.pool, row.key, ROUND)
    if not found or not copies:
        return []
    followed = Followed(row.key, tuple(found[0]["namespaces"]), found[0]["from_stage"])
    ends, last = time.monotonic() + ROUND_SECONDS, len(copies) - 1
    try:
        opened = opened_copying(app, followed, found[0]["kind"])
        async with opened as copying:
            for at, copy in enumerate(copies):
                result = await copying.bring_in_step(copy)
                commands = await _with_others(app, row, copy, result)
                if at == last or _rests(result) or time.monotonic() > ends:
                    return commands
                await _commit(app, commands)
    except Refused as e:
        failed = c.RecordFailure(
            row.key,
            copies[0].model_id,
            copies[0].number,
            copies[0].request,
            "unavailable",
            str(e),
            retry=True,
        )
        return [_submission(row, copies[0], failed)]
    return []


@contextlib.asynccontextmanager
async def opened_copying(app: App, followed: Followed, kind: str) -> AsyncIterator[Copying]:
    """Open a target with its settings as they are now. Raises Refused when they are wrong."""
    parts = app.parts_as(Parts)
    target = open_target(kind, parts.settings.target_settings(followed.target))
    try:
        yield Copying(app.pool, parts.reader, followed, target)
    finally:
        await target.close()


def _rests(result: c.TargetCommand) -> bool:
    return isinstance(result, c.RecordFailure) and result.retry


async def _with_others(app: App, row: DueRow, copy: DueCopy, result: c.TargetCommand) -> list[Submission]:
    """Return the commands of a result: an alias that moved here changes the version that showed it, too."""
    commands = [_submission(row, copy, result)]
    if isinstance(result, c.RecordMirrored) and result.aliases:
        others = await queries.showing(app.pool, row.key, copy.model_id, copy.number, list(result.aliases))
        commands[:0] = [
            _submission(
                row, copy, c.RequestVersion(row.key, copy.model_id, "", number, "AliasSet"), f"alias/{number}"
            )
            for number in others
        ]
    return commands


def _submission(row: DueRow, copy: DueCopy, command: c.TargetCommand, part: str = "") -> Submission:
    """Return a command whose cause names the attempt: an attempt is recorded once."""
    attempt = f"{copy.model_id}@{copy.number}/{copy.request}/{copy.attempts}/{part}"
    return Submission(command, (stream_of(row.key),), row.cause(attempt), row.actor)


async def _commit(app: App, commands: Sequence[Submission]) -> None:
    for answer in await app.transactor.submit_all(commands):
        if isinstance(answer, RuleBroken):
            raise answer


async def survey(app: App, row: DueRow) -> Sequence[Submission]:
    """Request all versions that are in a mirrored stage now. Later ones are requested by their events."""
    found = await queries.targets(app.pool, row.key)
    if not found:
        return []
    reader, followed = app.parts_as(Parts).reader, found[0]
    requested = 0
    for stage in (s for s, rank in RANK.items() if rank >= RANK[followed["from_stage"]]):
        token = ""
        while True:
            versions, token = await reader.page_of_versions(stage, token)
            commands = [
                _surveyed(row, version, stage)
                for version in versions
                if is_mirrored(followed["namespaces"], namespace_of(version["model"]))
            ]
            await _commit(app, commands)
            requested += len(commands)
            if not token:
                break
    finish = c.FinishSurvey(row.key, requested)
    return [Submission(finish, (stream_of(row.key),), row.cause(), row.actor)]


def _surveyed(row: DueRow, version: dict[str, str], stage: str) -> Submission:
    command = c.RequestVersion(
        row.key, version["model_id"], version["model"], int(version["number"]), "survey", stage, "new"
    )
    part = f"{version['model_id']}@{version['number']}"
    return Submission(command, (stream_of(row.key),), row.cause(part), row.actor)


async def check(app: App, row: DueRow) -> Sequence[Submission]:
    """Compare the next versions of a target with the registry."""
    data = row.data
    found = await queries.targets(app.pool, row.key)
    after = (data["model_id"], data["number"])
    copies = await queries.checked_copies(app.pool, row.key, after, ROUND)
    if not found:
        return []
    followed = Followed(row.key, tuple(found[0]["namespaces"]), found[0]["from_stage"])
    compared, drifted, problem = data["compared"], data["drifted"], ""
    commands: list[Submission] = []
    try:
        async with opened_copying(app, followed, found[0]["kind"]) as copying:
            for copy in copies:
                drift = await _drift(copying, row, copy)
                compared += 1
                if drift is not None:
                    drifted += 1
                    commands.append(drift)
    except (Refused, Unavailable) as e:
        problem = str(e)
    last = copies[-1] if copies else None
    advance = c.AdvanceCheck(
        row.key,
        data["check_id"],
        last.model_id if last else "",
        last.number if last else 0,
        compared,
        drifted,
        finished=len(copies) < ROUND,
        problem=problem,
    )
    return [*commands, Submission(advance, (stream_of(row.key),), row.cause(), row.actor)]


async def _drift(copying: Copying, row: DueRow, copy: DueCopy) -> Submission | None:
    """Return the command for a version that differs, or that failed and is to be tried again."""
    repair, check_id = row.data["repair"], row.data["check_id"]
    differences: tuple[Differs, ...] = ()
    if copy.status != "failed":
        seen = await copying.see(copy)
        differences = tuple(Differs(d.field, d.wanted, d.found) for d in seen.differences) if seen else ()
    elif not repair:
        return None
    if not differences and copy.status == "mirrored":
        return None
    command: c.TargetCommand = c.RecordDrift(
        row.key, copy.model_id, copy.number, check_id, differences, repair
    )
    if not differences:  # it failed, or what had drifted is right again
        command = c.RequestVersion(row.key, copy.model_id, "", copy.number, "check")
    part = hashlib.sha256(f"{copy.model_id}@{copy.number}".encode()).hexdigest()[:16]
    return Submission(command, (stream_of(row.key),), row.cause(part), row.actor)
