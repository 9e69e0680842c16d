"""Shapes of requests to audit, and of its answers.

`python -m tools.contracts` writes this file.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Act(TypedDict):
    """`hidden`: the event is about models that the caller may not read."""

    event_id: str
    service: str
    stream: str
    revision: int
    type: str
    recorded_at: str
    leaf_index: int | None
    fault: str
    schema: int
    occurred_at: str | None
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
    hidden: bool
    model_id: str | None
    model: str


class Acts(TypedDict):
    items: list[Act]
    next_page_token: str


class AfterReview(TypedDict):
    by: Who
    at: str
    justified: bool | None
    comment: str | None
    event: Reference


class Approval(TypedDict):
    subject: str
    at: str
    role: str | None
    comment: str | None
    conditions: list[str] | None
    event: Reference


class AsOf(TypedDict):
    """What served at that moment. Every event up to `indexed_up_to` is indexed."""

    model_id: str
    model: str
    environment: str
    at: str
    indexed_up_to: str
    since: str | None
    changed_by: ChangedBy | None
    entries: list[Served]


class Cause(TypedDict):
    event_id: str
    service: str
    stream: str
    revision: int
    type: str
    recorded_at: str
    leaf_index: int | None
    fault: str
    actor: Who
    reason: str


class ChangedBy(TypedDict):
    actor: Who
    reason: str
    event: Reference


class Consistency(TypedDict):
    first: int
    size: int
    proof: list[str]


class CorrectedField(TypedDict):
    field: str | None
    before: Any
    after: Any


class CorrectionThen(TypedDict):
    by: Who
    at: str
    reason: str
    changes: list[CorrectedField]
    event: Reference


class Decided(TypedDict):
    by: Who
    at: str
    event: Reference
    reason: str


class Decision(TypedDict):
    """`promotion` states who requested and who approved, on what evidence, under which policy.

    `reasons` are those of a denial or an override; `bypassed` lists what an override left out.
    `after_review` is that of an override, None where it is missing.
    """

    model_id: str
    model: str
    number: int | None
    environment: str | None
    at: str
    by: Who
    reasons: list[str]
    bypassed: list[str]
    promotion: Promotion | None
    after_review: AfterReview | None
    event: Reference


class Decisions(TypedDict):
    items: list[Decision]
    next_page_token: str


class Event(TypedDict):
    """A stored event.

    `data` is what its service stored, under `schema`; `leaf` is the hex leaf hash of its exact bytes.
    """

    event_id: str
    service: str
    stream: str
    revision: int
    type: str
    recorded_at: str
    leaf_index: int | None
    fault: str
    schema: int
    occurred_at: str | None
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


class Events(TypedDict):
    items: list[Event]
    next_page_token: str


class ExportHistory(TypedDict):
    all: NotRequired[bool]


class FullRun(TypedDict):
    """A run over all leaves that were sealed when it was requested."""

    requested_at: str
    verified: int
    leaves: int


class Given(TypedDict):
    by: Who
    at: str
    event: Reference


class GroupThen(TypedDict):
    """Members of the group had the role in the namespace and below."""

    group: str | None
    role: str | None
    namespace: str | None
    mapped: Decided


class History(TypedDict):
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


class HistoryFile(TypedDict):
    """The leaves `first` to `last`. Fields are null until the file is exported."""

    first: int
    last: int
    file: str
    manifest: str
    planned_at: str
    exported_at: str | None
    size: int | None
    sha256: str | None
    sealed: int | None


class HistoryPlanned(TypedDict):
    """The export is finished when `exported` of `GET /v1/history` has reached `planned`."""

    planned: int
    exported: int


class IdentityRights(TypedDict):
    subject: str | None
    kind: str | None
    created: Given
    disabled: Given | None
    roles: list[Role]
    keys: list[LiveKey]
    trusts: list[TrustThen]
    links: list[LinkThen]


class InService(TypedDict):
    """What served in one environment of one model. `entries` is empty where the rollout was stopped."""

    model_id: str
    model: str
    environment: str
    since: str
    changed_by: ChangedBy
    entries: list[Served]


class Inclusion(TypedDict):
    """Hashes in hex.

    `stored`: the event's bytes in base64; `leaf` is SHA-256 over 0x00 and these. Null when the log lost
    them.
    """

    leaf_index: int
    size: int
    leaf: str
    proof: list[str]
    stored: str | None


class Invariant(TypedDict):
    """`checked`: leaves, events, log checkpoints or decisions. `violations` shows the first twenty."""

    name: str
    rule: str
    holds: bool
    checked: int
    violations: list[dict[str, Any]]
    took_ms: float


class Invariants(TypedDict):
    """Leaves 0 to `verified - 1` of the `sealed` ones were read and verified, each once since
    `read_since`.

    `full_run`: the run that reads all of them again, while it is under way. Its violations count for
    `holds`; once it is finished, they are what `invariants` shows. `without_people`: what reached
    Production by a policy or an override and no person's approval. `owed_after_reviews`: overrides
    whose after-review is missing.
    """

    holds: bool
    at: str
    verified: int
    sealed: int
    read_since: str
    full_run: FullRun | None
    invariants: list[Invariant]
    without_people: list[WithoutPeople]
    owed_after_reviews: list[OwedAfterReview]


class IssuerThen(TypedDict):
    """An issuer with the settings of its last `trusted`. `key` names it in the `method` of actors."""

    key: str
    issuer: str | None
    audience: str | None
    client_id: str | None
    groups_claim: str | None
    scopes: list[str]
    algorithms: list[str]
    trusted: Decided
    ended: Decided | None
    groups: list[GroupThen]


class IssuersThen(TypedDict):
    """`next_page_token` is always empty: all issuers are on one page."""

    at: str
    items: list[IssuerThen]
    next_page_token: str


class LinkThen(TypedDict):
    """`other` counted as the same person: an identity, or with `login` a name under which it started jobs."""

    other: str | None
    login: bool
    linked: Given


class LiveKey(TypedDict):
    """`issuer` is the key of the issuer whose groups' roles the key has, "" for own roles only."""

    key_id: str | None
    algorithm: str | None
    expires_at: Any
    issuer: str
    issued: Given


class LogCheckpoint(TypedDict):
    """`note` is the C2SP signed note."""

    size: int
    root: str
    note: str
    signed_at: str


class LogCheckpoints(TypedDict):
    """`verifier_key` in the form of C2SP signed notes."""

    origin: str
    tree_size: int
    verifier_key: str
    items: list[LogCheckpoint]
    next_page_token: str


class MomentOfLog(TypedDict):
    """What changed at a moment, and who changed it. `model` is "" for what is about no model."""

    at: str
    type: str
    by: str
    model: str
    number: int | None
    environment: str | None


class Moments(TypedDict):
    """Changes of what serves, of policies and of rights that the caller may read, the oldest first.

    `items` has at most one for each hundredth of the time since `first`, the first event of the log.
    `before` and `after` are the moments next to `at`.
    """

    first: str
    at: str
    items: list[MomentOfLog]
    before: MomentOfLog | None
    after: MomentOfLog | None


class Override(TypedDict):
    by: Who
    at: str
    reason: str | None


class OwedAfterReview(TypedDict):
    promotion_id: str | None
    model: str | None
    number: int | None
    environment: str | None
    by: str | None
    reason: str | None
    due_at: str | None


class Policies(TypedDict):
    at: str
    items: list[PolicyInForce]
    next_page_token: str


class PolicyInForce(TypedDict):
    """The text of a policy that was in force. `revision` counts the publications of its name."""

    name: str
    revision: int
    digest: str | None
    published_at: str
    published_by: Who
    reason: str
    policy: dict[str, Any] | None
    event: Reference


class Promotion(TypedDict):
    """The decision that let a version into Production, as stored."""

    promotion_id: str | None
    promoted_at: str
    requested: Requested | None
    evidence_digest: str | None
    evidence: dict[str, Any] | None
    approvers: list[Approval]
    override: Override | None
    policy: dict[str, Any] | None
    gates: list[dict[str, Any]] | None
    granted: Reference | None
    event: Reference


class PublicEvent(TypedDict):
    """A public event in the JSON format of CloudEvents. The server-sent event's `id` is the cursor behind
    it.

    Its extension attributes are those of the message on Kafka. `dssematerial` is the signature of the
    service over the attributes that `signedextattrs` names and the exact bytes of `data`, which is the
    last member. `leaf` is the event's leaf in the log.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    partitionkey: str
    recordedtime: str
    revision: str
    leaf: str
    correlationid: NotRequired[str]
    causationid: NotRequired[str]
    traceparent: NotRequired[str]
    signedextattrs: str
    dssematerial: str
    data: dict[str, Any]


class Reference(TypedDict):
    """What finds an event again. `leaf_index` is null until the event is sealed.

    `fault` is why the event cannot be believed; it is empty when its bytes are what was sealed, and the
    columns of log and index say what its bytes say.
    """

    event_id: str
    service: str
    stream: str
    revision: int
    type: str
    recorded_at: str
    leaf_index: int | None
    fault: str


class Registered(TypedDict):
    """`metadata` are those that stood then: as registered, with the `corrections` up to that moment."""

    registered_at: str
    registered_by: Who
    metadata: dict[str, Any] | None
    corrections: list[CorrectionThen]
    event: Reference


class Requested(TypedDict):
    by: Who
    at: str
    reason: str
    event: Reference


class Rights(TypedDict):
    at: str
    items: list[IdentityRights]
    next_page_token: str


class Role(TypedDict):
    """`group` is the group through which the role was held, "" for a grant of its own."""

    role: str | None
    namespace: str | None
    group: str
    granted: Given


class Served(TypedDict):
    """`promotion` is null for a version that needed none for its role."""

    number: int
    semver: str | None
    percent: int | None
    role: str | None
    version: Registered | None
    promotion: Promotion | None


class Serving(TypedDict):
    """Every event up to `indexed_up_to` is indexed. A page has fewer items where rollouts began later."""

    at: str
    indexed_up_to: str
    items: list[InService]
    next_page_token: str


class Timeline(TypedDict):
    model_id: str
    model: str
    items: list[TimelineEvent]
    next_page_token: str


class TimelineEvent(TypedDict):
    """`caused_by` is null unless the cause is an event of this log; `effects` is set in a tree.

    `hidden`: the event is about models that the caller may not read.
    """

    event_id: str
    service: str
    stream: str
    revision: int
    type: str
    recorded_at: str
    leaf_index: int | None
    fault: str
    schema: int
    occurred_at: str | None
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
    hidden: NotRequired[bool]
    caused_by: NotRequired[Cause | None]
    effects: NotRequired[list[TimelineEvent] | None]


class TrustThen(TypedDict):
    """Jobs with a token of `issuer`, with these claims, acted as the publisher in `namespaces`."""

    trust_id: str | None
    issuer: str | None
    audience: str | None
    claims: list[dict[str, Any]]
    namespaces: list[str]
    added: Given


class Who(TypedDict):
    """A person or a service. `method`: how it proved who it is."""

    subject: str
    method: str
    on_behalf_of: str | None


class WithoutPeople(TypedDict):
    """A promotion that no person approved, and why that was allowed."""

    promotion_id: str | None
    model: str | None
    number: int | None
    environment: str | None
    why: str
    at: str
