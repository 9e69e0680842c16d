"""Every error of the drivers is sorted: an update of a driver with a new class fails here."""

from __future__ import annotations

import asyncio
import inspect
from types import ModuleType

import aiokafka.errors
import asyncpg
import pytest

from shared.foundation.postgres_errors import (
    CONNECTION_ERRORS,
    WRONG_VALUES,
    ErrorSort,
    raise_if_cancelled,
    sort_of,
)
from shared.messaging import kafka_errors

OURS = {"0A", "03", "09", "0B", "0F", "0L", "0Z", "10", "24", "26", "2B", "2D", "2F", "34", "38", "39", "3B"}
OURS |= {"42", "HV", "01", "02", "00"}
WRONG = {"20", "21", "22", "23", "27", "44", "54", "P0"}
UNAVAILABLE = {"08", "0P", "25", "28", "3D", "3F", "40", "53", "55", "57", "58", "72", "F0", "XX"}
UNAVAILABLE_BY_NAME = {
    "InvalidCachedStatementError",
    "InsufficientPrivilegeError",
    "UndefinedTableError",
    "UndefinedColumnError",
    "UndefinedFunctionError",
    "FatalPostgresError",
    "UnknownPostgresError",
}
CLIENT = {
    "InterfaceError",
    "InternalClientError",
    "ProtocolError",
    "TargetServerAttributeNotMatched",
    "OutdatedSchemaCacheError",
    "ClientConfigurationError",
    "UnsupportedClientFeatureError",
    "UnsupportedServerFeatureError",
}


def errors_of(module: ModuleType) -> list[type[BaseException]]:
    return [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Exception) and not issubclass(found, Warning)
    ]


@pytest.mark.parametrize("error", errors_of(asyncpg.exceptions), ids=lambda error: error.__name__)
def test_every_error_of_asyncpg_has_its_sort(error: type[BaseException]) -> None:
    name, state = error.__name__, getattr(error, "sqlstate", None)
    if name in UNAVAILABLE_BY_NAME | CLIENT:
        expected = ErrorSort.UNAVAILABLE
    elif name == "PostgresError":
        expected = ErrorSort.OURS
    else:
        assert state is not None, f"{name} is new: sort it"
        [expected] = [
            sort
            for sort, classes in (
                (ErrorSort.UNAVAILABLE, UNAVAILABLE),
                (ErrorSort.WRONG, WRONG),
                (ErrorSort.OURS, OURS),
            )
            if state[:2] in classes
        ]
    assert sort_of(error) is expected


def test_no_error_is_both_unavailable_and_wrong() -> None:
    assert not [
        e
        for e in errors_of(asyncpg.exceptions)
        if issubclass(e, CONNECTION_ERRORS) and issubclass(e, WRONG_VALUES)
    ]


@pytest.mark.parametrize("error", errors_of(aiokafka.errors), ids=lambda error: error.__name__)
def test_every_error_of_aiokafka_has_its_sort(error: type[BaseException]) -> None:
    named = {
        **dict.fromkeys(WRONG_KAFKA, ErrorSort.WRONG),
        **dict.fromkeys(OURS_KAFKA, ErrorSort.OURS),
        **dict.fromkeys(KAFKA_UNAVAILABLE, ErrorSort.UNAVAILABLE),
    }
    assert error.__name__ in named, f"{error.__name__} is new: sort it"
    assert kafka_errors.sort_of(error) is named[error.__name__]
    assert issubclass(error, kafka_errors.KAFKA_ERRORS)


def names(text: str) -> list[str]:
    return text.split()


WRONG_KAFKA = names("""
    MessageSizeTooLargeError RecordListTooLargeError RecordTooLargeError InvalidTimestampError
    OffsetMetadataTooLargeError PolicyViolationError CorruptRecordException
""")
OURS_KAFKA = names("""
    IllegalArgumentError IllegalOperation UnrecognizedBrokerVersion IncompatibleBrokerVersion
    AuthenticationMethodNotSupported UnsupportedCodecError KafkaConfigurationError NoOffsetForPartitionError
    InvalidTopicError InvalidRequiredAcksError InconsistentGroupProtocolError InvalidGroupIdError
    InvalidSessionTimeoutError InvalidCommitOffsetSizeError UnsupportedSaslMechanismError
    IllegalSaslStateError UnsupportedVersionError TopicAlreadyExistsError InvalidPartitionsError
    InvalidReplicationFactorError InvalidReplicationAssignmentError InvalidConfigurationError
    InvalidRequestError UnsupportedForMessageFormatError InvalidTransactionTimeout InvalidPrincipalType
    InvalidTxnState InvalidProducerIdMapping ConcurrentTransactions TransactionCoordinatorFenced
    DelegationTokenAuthDisabled DelegationTokenNotFound DelegationTokenOwnerMismatch
    DelegationTokenRequestNotAllowed DelegationTokenAuthorizationFailed DelegationTokenExpired NonEmptyGroup
    SecurityDisabled OperationNotAttempted InvalidFetchRequestError NoError
""")
KAFKA_UNAVAILABLE = names("""
    KafkaError IllegalStateError NoBrokersAvailable NodeNotReadyError KafkaProtocolError CorrelationIdError
    Cancelled TooManyInFlightRequests StaleMetadata MetadataEmptyBrokerList CommitFailedError
    AuthenticationFailedError KafkaUnavailableError KafkaTimeoutError KafkaConnectionError QuotaViolationError
    ConsumerStoppedError ProducerClosed ProducerFenced BrokerResponseError UnknownError OffsetOutOfRangeError
    UnknownTopicOrPartitionError LeaderNotAvailableError NotLeaderForPartitionError RequestTimedOutError
    BrokerNotAvailableError ReplicaNotAvailableError StaleControllerEpochError StaleLeaderEpochCodeError
    GroupLoadInProgressError GroupCoordinatorNotAvailableError NotCoordinatorForGroupError
    NotEnoughReplicasError NotEnoughReplicasAfterAppendError IllegalGenerationError UnknownMemberIdError
    RebalanceInProgressError TopicAuthorizationFailedError GroupAuthorizationFailedError
    ClusterAuthorizationFailedError NotControllerError OutOfOrderSequenceNumber DuplicateSequenceNumber
    InvalidProducerEpoch TransactionalIdAuthorizationFailed KafkaStorageError LogDirNotFound
    SaslAuthenticationFailed UnknownProducerId ReassignmentInProgress GroupIdNotFound FetchSessionIdNotFound
    InvalidFetchSessionEpoch ListenerNotFound MemberIdRequired
""")


async def test_a_cancellation_that_another_error_replaced_is_raised_again() -> None:
    waiting = asyncio.Event()

    async def loop() -> None:
        while True:
            try:
                try:
                    waiting.set()
                    await asyncio.Event().wait()
                finally:
                    raise ConnectionResetError("ROLLBACK on a broken connection")
            except CONNECTION_ERRORS:
                raise_if_cancelled()

    task = asyncio.create_task(loop())
    await waiting.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({task})
    assert task.cancelled()


async def test_a_task_that_is_not_cancelled_continues() -> None:
    raise_if_cancelled()
