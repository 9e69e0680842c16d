"""Sort every error of the Kafka client once: Kafka is unavailable, a message is wrong, or our code is."""

from __future__ import annotations

from aiokafka import errors

from shared.foundation.postgres_errors import ErrorSort

KAFKA_ERRORS = (errors.KafkaError, errors.ConsumerStoppedError, errors.IllegalOperation)
"""All errors of aiokafka: two of them are no KafkaError."""

TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)
WRONG_MESSAGES = (
    *TOO_LARGE,
    errors.InvalidTimestampError,
    errors.OffsetMetadataTooLargeError,
    errors.PolicyViolationError,
    errors.CorruptRecordException,
)
"""Errors that a message causes."""

OUR_DEFECTS = (
    errors.IllegalArgumentError,
    errors.IllegalOperation,
    errors.UnrecognizedBrokerVersion,
    errors.IncompatibleBrokerVersion,
    errors.AuthenticationMethodNotSupported,
    errors.UnsupportedCodecError,
    errors.KafkaConfigurationError,
    errors.NoOffsetForPartitionError,
    errors.InvalidTopicError,
    errors.InvalidRequiredAcksError,
    errors.InconsistentGroupProtocolError,
    errors.InvalidGroupIdError,
    errors.InvalidSessionTimeoutError,
    errors.InvalidCommitOffsetSizeError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.UnsupportedVersionError,
    errors.TopicAlreadyExistsError,
    errors.InvalidPartitionsError,
    errors.InvalidReplicationFactorError,
    errors.InvalidReplicationAssignmentError,
    errors.InvalidConfigurationError,
    errors.InvalidRequestError,
    errors.UnsupportedForMessageFormatError,
    errors.InvalidTransactionTimeout,
    errors.InvalidPrincipalType,
    errors.InvalidTxnState,
    errors.InvalidProducerIdMapping,
    errors.ConcurrentTransactions,
    errors.TransactionCoordinatorFenced,
    errors.DelegationTokenAuthDisabled,
    errors.DelegationTokenNotFound,
    errors.DelegationTokenOwnerMismatch,
    errors.DelegationTokenRequestNotAllowed,
    errors.DelegationTokenAuthorizationFailed,
    errors.DelegationTokenExpired,
    errors.NonEmptyGroup,
    errors.SecurityDisabled,
    errors.OperationNotAttempted,
    errors.InvalidFetchRequestError,
    errors.NoError,
)
"""Errors of the way in which this code or its configuration uses Kafka.

They are waited for, too: a process that ends would start with the same code. Their reason names the class.
"""


def sort_of(error: type[BaseException]) -> ErrorSort:
    """Return the sort of a class of errors. Whatever is not listed means that Kafka is unavailable."""
    if issubclass(error, WRONG_MESSAGES):
        return ErrorSort.WRONG
    if issubclass(error, OUR_DEFECTS) or not issubclass(error, KAFKA_ERRORS):
        return ErrorSort.OURS
    return ErrorSort.UNAVAILABLE
