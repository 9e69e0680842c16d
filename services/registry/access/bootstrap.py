"""Write the first identities into the log.

It needs the database password and no API key; repeating it changes nothing. What was revoked since, a role
or a key, stays so: a file with a new subject lets an operator in again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from services.registry.access import names
from services.registry.access.domain.commands import AccessCommand, CreateIdentity, GrantRole, IssueKey
from services.registry.access.domain.identities import streams_read
from services.registry.access.service import ACCESS_SERVICE
from shared.deciding.access import Algorithm, Kind, stream_of
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.foundation.settings import Settings, SettingsWrong
from shared.log import eventlog, projector
from shared.log.transact import Transactor

BOOTSTRAP = Actor("system:bootstrap", method="bootstrap")


class KeySpec(msgspec.Struct, forbid_unknown_fields=True):
    """The public half of a key, or the keyed hash of an API key; in hex."""

    key_id: str
    algorithm: Algorithm
    verifier: str
    expires_at: datetime | None = None


class RoleSpec(msgspec.Struct, forbid_unknown_fields=True):
    role: str
    namespace: str


class IdentitySpec(msgspec.Struct, forbid_unknown_fields=True):
    """The directory stores `name` only when the identity is new."""

    subject: str
    kind: Kind
    name: str
    keys: list[KeySpec] = []
    roles: list[RoleSpec] = []


class Spec(msgspec.Struct, forbid_unknown_fields=True):
    """The file: `{"identities": [{"subject", "kind", "name", "keys": [...], "roles": [...]}]}`."""

    identities: list[IdentitySpec]


def commands(spec: Spec) -> Iterator[AccessCommand]:
    """Yield the commands that make the file's identities, keys and roles, each after what it depends on."""
    for identity in spec.identities:
        yield CreateIdentity(identity.subject, identity.kind, BOOTSTRAP.subject)
        for key in identity.keys:
            yield IssueKey(
                identity.subject,
                key.key_id,
                key.algorithm,
                key.verifier,
                key.expires_at,
                bootstrap=True,
                by=BOOTSTRAP.subject,
            )
        for role in identity.roles:
            yield GrantRole(identity.subject, role.role, role.namespace, BOOTSTRAP.subject, bootstrap=True)


async def write(url: str, spec: Spec) -> int:
    """Write what the file has and the log lacks. Return the number of new events.

    Raise RuleBroken when the file contradicts the log, and LogStopped when the log may not be written.
    """
    pool = await connect_pool(url, schemas=("access",), application="regista-bootstrap")
    try:
        async with pool.acquire() as connection:
            await eventlog.check_not_restored(connection)
            await eventlog.check_not_stopped(connection)
        await projector.ensure(ACCESS_SERVICE, pool)
        wake_up = WakeUp(url, ACCESS_SERVICE.name)
        transactor = Transactor(ACCESS_SERVICE, pool, wake_up)
        tasks = [asyncio.create_task(transactor.run()), asyncio.create_task(wake_up.run())]
        run = uuid.uuid4()
        outcomes = await transactor.submit_all(
            [
                Submission(
                    command,
                    (stream_of(command.subject),),
                    Cause(BOOTSTRAP.subject, f"{run}/{n}", b""),
                    BOOTSTRAP,
                    depends_on=streams_read(command) if isinstance(command, CreateIdentity) else (),
                    reason="bootstrap",
                )
                for n, command in enumerate(commands(spec))
            ]
        )
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for outcome in outcomes:
            if isinstance(outcome, RuleBroken):
                raise outcome
        for identity in spec.identities:
            await names.store_first(pool, identity.subject, identity.name)
    finally:
        await pool.close()
    return sum(len(outcome.events) for outcome in outcomes if not isinstance(outcome, RuleBroken))


def main(arguments: Sequence[str]) -> None:
    """Run the command line. Exit with a message and code 1 when the file or the environment is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m services.registry bootstrap", description="Writes the first identities into the log."
    )
    parser.add_argument(
        "--spec",
        type=Path,
        required=True,
        help="JSON file: identities with the public halves of their keys, and roles",
    )
    try:
        spec = msgspec.json.decode(parser.parse_args(arguments).spec.read_bytes(), type=Spec)
        settings = Settings.from_environment()
        settings.require("database_url")
        wrote = asyncio.run(write(settings.database_url, spec))
    except (SettingsWrong, msgspec.MsgspecError, OSError, RuleBroken, eventlog.LogStopped) as wrong:
        sys.exit(str(wrong))
    sys.stdout.write(f"{wrote} events\n")
