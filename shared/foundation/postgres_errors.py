"""Sort every error of the PostgreSQL driver: the server is unavailable, a value is wrong, or the code is."""

from __future__ import annotations

import asyncio
from enum import Enum

import asyncpg

CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's last message lies unread in a socket that it closed
    asyncpg.FatalPostgresError,
    asyncpg.InvalidCachedStatementError,  # 0A000: the schema changed under a prepared statement
    asyncpg.InvalidTransactionStateError,  # 25: read-only after a failover, ended while idle
    asyncpg.InvalidAuthorizationSpecificationError,  # 28: a rotated password that is not known here yet
    asyncpg.InvalidRoleSpecificationError,  # 0P
    asyncpg.InvalidCatalogNameError,  # 3D: the database is being restored
    asyncpg.InvalidSchemaNameError,  # 3F: not migrated yet
    asyncpg.TransactionRollbackError,  # 40
    asyncpg.InsufficientPrivilegeError,  # 42501: a grant was revoked or is missing
    asyncpg.UndefinedTableError,  # 42P01: not migrated yet, or a rebuild is swapping a view
    asyncpg.UndefinedColumnError,  # 42703: not migrated yet
    asyncpg.UndefinedFunctionError,  # 42883: not migrated yet
    asyncpg.InsufficientResourcesError,  # 53: disk, memory, connections
    asyncpg.ObjectNotInPrerequisiteStateError,  # 55
    asyncpg.OperatorInterventionError,  # 57: shutdown, crash, canceled
    asyncpg.PostgresSystemError,  # 58
    asyncpg.SnapshotTooOldError,  # 72
    asyncpg.ConfigFileError,  # F0
    asyncpg.InternalServerError,  # XX: the server's own faults
    ConnectionError,
    TimeoutError,
    OSError,
)
"""Errors of asyncpg while the server is unavailable or cannot work, by classes of SQLSTATE.

No command causes them, and nothing is committed: wait and repeat, at start and later.
"""

NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
)
"""Those of CONNECTION_ERRORS that a migration ends."""

WRONG_VALUES = (
    asyncpg.CaseNotFoundError,  # 20
    asyncpg.CardinalityViolationError,  # 21
    asyncpg.DataError,  # 22
    asyncpg.IntegrityConstraintViolationError,  # 23
    asyncpg.TriggeredDataChangeViolationError,  # 27
    asyncpg.WithCheckOptionViolationError,  # 44
    asyncpg.ProgramLimitExceededError,  # 54: for example a key that is too long for an index
    asyncpg.PLPGSQLError,  # P0: raised by a function of the schema
)
"""Errors that a value causes. Repeating does not help: refuse the command or dead-letter the message."""


class ErrorSort(Enum):
    """What to do after an error of a driver."""

    UNAVAILABLE = "wait and repeat"
    WRONG = "refuse the value"
    OURS = "correct the code"


def sort_of(error: type[BaseException]) -> ErrorSort:
    """Return the sort of a class of errors. Whatever is neither unavailable nor wrong is a defect of ours."""
    if issubclass(error, CONNECTION_ERRORS):
        return ErrorSort.UNAVAILABLE
    return ErrorSort.WRONG if issubclass(error, WRONG_VALUES) else ErrorSort.OURS


def raise_if_cancelled() -> None:
    """Raise CancelledError when this task is cancelled, although the code before ended with another error.

    The ROLLBACK of a cancelled transaction fails on a broken connection, and its error replaces the
    cancellation. A loop that handles errors and continues must call this, or it never ends.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
