"""The JSON shapes of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.http.moments import Moment
from shared.http.routes import Body, PageQuery

SINCE = "RFC 3339, or a day: from its beginning in UTC"
UNTIL = "RFC 3339, or a day: up to its end in UTC"


class TimelineQuery(PageQuery):
    number: int | None = Field(None, ge=1, description="only events that name this version")
    tree: bool = Field(False, description="each event under the one that caused it")
    newest: bool = Field(False, description="the newest events first")
    notes: bool = Field(True, description="also the copies of other services' events (type Noted)")
    since: Moment | None = Field(None, description=SINCE)
    until: Moment | None = Field(None, description=UNTIL)


class AsOfQuery(Body):
    model: str = Field(min_length=1, max_length=200, description="name or id")
    environment: str = Field("production", min_length=1, max_length=100)
    at: Moment | None = Field(
        None, description="RFC 3339, or a day: its end in UTC, now for today; now if left out"
    )


class EventsQuery(PageQuery):
    stream: str = Field("", max_length=300)
    correlation_id: str = Field("", max_length=300)


class InvariantsQuery(Body):
    verify: bool = Field(
        True, description="first verify what is new, for 20 s at most; false: answer what is verified already"
    )


class Who(BaseModel):
    """A person or a service. `method`: how it proved who it is."""

    subject: str
    method: str
    on_behalf_of: str | None


class Reference(BaseModel):
    """What finds an event again. `leaf_index` is null until the event is sealed.

    `fault` is why the event cannot be believed; it is empty when its bytes are what was sealed, and the
    columns of log and index say what its bytes say.
    """

    event_id: str
    service: str
    stream: str
    revision: int
    type: str
    recorded_at: datetime
    leaf_index: int | None
    fault: str


class Cause(Reference):
    actor: Who
    reason: str


class Event(Reference):
    """A stored event.

    `data` is what its service stored, under `schema`; `leaf` is the hex leaf hash of its exact bytes.
    """

    schema_: int = Field(alias="schema")
    occurred_at: datetime | None
    actor: Who
    reason: str
    correlation_id: str
    causation_id: str
    trace: str
    number: int | None
    environment: str | None
    promotion_id: str | None
    leaf: str
    data: Any


class TimelineEvent(Event):
    """`caused_by` is null unless the cause is an event of this log; `effects` is set in a tree.

    `hidden`: the event is about models that the caller may not read.
    """

    hidden: bool = False
    caused_by: Cause | None = None
    effects: list[TimelineEvent] | None = None


class Timeline(BaseModel):
    model_id: str
    model: str
    items: list[TimelineEvent]
    next_page_token: str


class Events(BaseModel):
    items: list[Event]
    next_page_token: str


class LogCheckpoint(BaseModel):
    """`note` is the C2SP signed note."""

    size: int
    root: str
    note: str
    signed_at: datetime


class LogCheckpoints(BaseModel):
    """`verifier_key` in the form of C2SP signed notes."""

    origin: str
    tree_size: int
    verifier_key: str
    items: list[LogCheckpoint]
    next_page_token: str


class InclusionQuery(Body):
    leaf_index: int = Field(ge=0, lt=2**63)
    size: int | None = Field(
        None, ge=1, lt=2**63, description="of a log checkpoint; all sealed leaves if left out"
    )


class Inclusion(BaseModel):
    """Hashes in hex.

    `stored`: the event's bytes in base64; `leaf` is SHA-256 over 0x00 and these. Null when the log lost them.
    """

    leaf_index: int
    size: int
    leaf: str
    proof: list[str]
    stored: str | None


class ConsistencyQuery(Body):
    first: int = Field(ge=0, lt=2**63, description="size of the older log checkpoint")
    size: int | None = Field(
        None, ge=1, lt=2**63, description="size of the newer one; all sealed leaves if left out"
    )


class Consistency(BaseModel):
    first: int
    size: int
    proof: list[str]


class Invariant(BaseModel):
    """`checked`: leaves, events, log checkpoints or decisions. `violations` shows the first twenty."""

    name: str
    rule: str
    holds: bool
    checked: int
    violations: list[dict[str, Any]]
    took_ms: float


class FullRun(BaseModel):
    """A run over all leaves that were sealed when it was requested."""

    requested_at: datetime
    verified: int
    leaves: int


class WithoutPeople(BaseModel):
    """A promotion that no person approved, and why that was allowed."""

    promotion_id: str | None
    model: str | None
    number: int | None
    environment: str | None
    why: str
    at: datetime


class OwedAfterReview(BaseModel):
    promotion_id: str | None
    model: str | None
    number: int | None
    environment: str | None
    by: str | None
    reason: str | None
    due_at: datetime | None


class Invariants(BaseModel):
    """Leaves 0 to `verified - 1` of the `sealed` ones were read and verified, each once since `read_since`.

    `full_run`: the run that reads all of them again, while it is under way. Its violations count for `holds`;
    once it is finished, they are what `invariants` shows. `without_people`: what reached Production by a
    policy or an override and no person's approval. `owed_after_reviews`: overrides whose after-review is
    missing.
    """

    holds: bool
    at: datetime
    verified: int
    sealed: int
    read_since: datetime
    full_run: FullRun | None
    invariants: list[Invariant]
    without_people: list[WithoutPeople]
    owed_after_reviews: list[OwedAfterReview]


class ExportHistory(Body):
    everything: bool = Field(
        False,
        alias="all",
        description="also the events that do not fill a file: they get a file of their own,"
        " and the next file begins behind them",
    )


class HistoryFile(BaseModel):
    """The leaves `first` to `last`. Fields are null until the file is exported."""

    first: int
    last: int
    file: str
    manifest: str
    planned_at: datetime
    exported_at: datetime | None
    size: int | None
    sha256: str | None
    sealed: int | None = Field(description="leaves of the signed log checkpoint that covers the file")


class History(BaseModel):
    """The exported log, in numbers of leaves.

    `sealed`, of them `signed`, `planned` to be exported, `exported` without a gap.

    `failure` is why this replica's last export ended.
    """

    place: str
    sealed: int
    signed: int
    planned: int
    exported: int
    failure: str
    items: list[HistoryFile]
    next_page_token: str


class HistoryPlanned(BaseModel):
    """The export is finished when `exported` of `GET /v1/history` has reached `planned`."""

    planned: int
    exported: int
