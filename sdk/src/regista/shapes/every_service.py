"""Shapes of requests and answers that 6 services have.

`python -m tools.contracts` writes this file.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class DeadLetter(TypedDict):
    """A dead letter as it is listed.

    `id` is `<dead-letter topic>~<partition>~<offset>` of its first record. `times` counts its records:
    it was replayed and refused again. `signer` is what the message claims as its source.
    """

    id: str
    topic: str
    partition: int
    offset: int
    reason: str
    group: str
    at: str
    size: int
    key: NotRequired[str]
    type: NotRequired[str]
    subject: NotRequired[str]
    replayed: NotRequired[bool]
    replayed_by: NotRequired[str]
    code: NotRequired[str]
    signer: NotRequired[str]
    cause: NotRequired[str]
    times: NotRequired[int]
    first_at: NotRequired[str | None]
    dismissed: NotRequired[bool]
    closed_by: NotRequired[str]
    closed_at: NotRequired[str | None]
    closed_reason: NotRequired[str]


class DeadLetterDetail(TypedDict):
    """A dead letter with headers and value. `encoding` is `text`, or `base64` for other than UTF-8."""

    letter: DeadLetter
    headers: dict[str, str]
    value: str
    encoding: str


class DeadLetterGroup(TypedDict):
    """Open dead letters of one topic, consumer group, code and signer; `example` is the newest one's id."""

    topic: str
    group: str
    code: str
    signer: str
    count: int
    oldest: str
    newest: str
    example: str
    reason: str


class DeadLetterGroups(TypedDict):
    """Open dead letters by topic, consumer group, code and signer, the largest group first."""

    items: list[DeadLetterGroup]


class DeadLetterList(TypedDict):
    """Dead letters, the newest first."""

    items: list[DeadLetter]


class Dismissal(TypedDict):
    """Why the dead letter needs no replay."""

    reason: str


class Dismissed(TypedDict):
    """The dead letter that was dismissed."""

    id: str


class ProblemDetails(TypedDict):
    """RFC 9457. `code` is stable; `detail` states what is wrong and what to do next; further members
    depend on the code.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    listed_at: NotRequired[str]
    errors: NotRequired[list[dict[str, Any]]]


class Replayed(TypedDict):
    """The topic to which the original message was sent again."""

    id: str
    topic: str
