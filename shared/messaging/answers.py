"""Keep the reason for a dead letter for the signer of the message."""

from __future__ import annotations

from shared.log.refused_messages import RefusedMessage, RefusedMessages
from shared.messaging.dead_letter_records import NOT_AUTHENTIC, TOO_LARGE
from shared.messaging.kafka import Record


async def answer_signer(
    refused: RefusedMessages | None, record: Record, dead_letter_id: str, reason: str, code: str
) -> None:
    """Keep the reason for a publisher's message under its source and id.

    `dead_letter_id` is "" for a message that was dead-lettered before.
    """
    source, id_, subject = (_header(record, name) for name in ("ce_source", "ce_id", "ce_subject"))
    if refused is None or not source.startswith("/publishers/"):
        return
    authentic = code not in {NOT_AUTHENTIC, TOO_LARGE}
    await refused.record(source, id_, RefusedMessage(subject, code, reason[:1000], authentic, dead_letter_id))


def _header(record: Record, name: str) -> str:
    """Return a header as text that PostgreSQL can store; "" without one, or for one that is not UTF-8."""
    raw = next((value for header, value in record.headers if header == name), None)
    try:
        text = (raw or b"").decode()
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else text
