"""The events of a review, and what they are about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from services.approval.domain.evidence import Evidence
from services.approval.domain.gate_kinds import Result
from services.approval.domain.policy import PolicyRef
from services.approval.domain.sign_in import Authentication, SignInAsked


@dataclass(frozen=True, slots=True)
class About:
    """The promotion and the version that a review is about. The review has the promotion's id."""

    promotion_id: str
    model_id: str
    model: str
    number: int


@dataclass(frozen=True, slots=True)
class Seal:
    """Digests of what the review shows. When one of them changes, the review lapses."""

    version: str
    artifact: str
    evidence: str
    policy: str


@dataclass(frozen=True, slots=True)
class ReviewOpened:
    """`needs` distinct people with one of `roles` must approve; people in `excluded` may not.

    `serve`: the last approval gives the version all requests where no version serves. `production`: whether
    the environment is one. `machines`, `dependent_because` and `sign_in` are those of the policy.
    `requester`: who requested the promotion.
    """

    SCHEMA: ClassVar[int] = 4

    about: About
    semver: str
    environment: str
    needs: int
    roles: tuple[str, ...]
    excluded: tuple[str, ...]
    seal: Seal
    sealed_digest: str
    policy: PolicyRef
    evidence_digest: str
    evidence: Evidence
    results: tuple[Result, ...]
    expires_at: datetime
    serve: bool = False
    production: bool = True
    machines: dict[str, str] = field(default_factory=dict)
    dependent_because: str = ""
    requester: str = ""
    sign_in: SignInAsked | None = None


@dataclass(frozen=True, slots=True)
class ReviewRefreshed:
    """The champion, the model's name or the policy changed, the gates still pass, and the quorum is the same.

    The review shows the new evidence and goes on. `policy`: the one that applies now; None in events of the
    first schema, which were not about the policy.
    """

    SCHEMA: ClassVar[int] = 2

    about: About
    evidence_digest: str
    evidence: Evidence
    results: tuple[Result, ...]
    policy: PolicyRef | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class ReviewApproved:
    """`approvers`: everyone who has approved so far. `complete`: this was the last approval needed.

    `approver_name` is kept as long as the record. `accepted`: the gates whose result the approver accepted by
    name. `machine_because`: why the policy lets this machine approve. `authentication`: how the approver had
    signed in; None for an API key.
    """

    SCHEMA: ClassVar[int] = 3

    about: About
    approver: str
    approver_name: str
    role: str
    comment: str
    conditions: tuple[str, ...]
    sealed_digest: str
    approvers: tuple[str, ...]
    complete: bool
    accepted: tuple[str, ...] = ()
    machine_because: str = ""
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True)
class ReviewRejected:
    about: About
    by: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewCommented:
    about: About
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class ReviewLapsed:
    """What the review showed has changed. A new promotion request opens a new review.

    `requester`: whom it concerns.
    """

    SCHEMA: ClassVar[int] = 2

    about: About
    reasons: tuple[str, ...]
    requester: str = ""


@dataclass(frozen=True, slots=True)
class ReviewExpired:
    about: About
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Adoption:
    """A version in another registry that serves in production there, as who adopts it read it at `read_at`.

    `system`, `uri`, `id` (the model) and `number` name it. `stage`: the words of that registry.
    """

    system: str
    uri: str
    id: str
    number: str
    stage: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class OverrideUsed:
    """A break-glass override.

    `bypassed`: the gates and approvals that were missing. An after-review is due at `due_at`. `unjustified`
    and `overdue`: what the policy states then. `by_maker`: its user made the version, and the policy allows
    that. `adopts`: the version serves elsewhere, and its promotion takes it over.
    """

    SCHEMA: ClassVar[int] = 4

    about: About
    environment: str
    by: str
    name: str
    reason: str
    bypassed: tuple[str, ...]
    excluded: tuple[str, ...]
    seal: Seal
    evidence_digest: str
    serve: bool = False
    production: bool = True
    due_at: datetime | None = None
    unjustified: str = "stop"
    overdue: str = "remind"
    by_maker: bool = False
    adopts: Adoption | None = None


@dataclass(frozen=True, slots=True)
class AfterReviewOverdue:
    """The after-review is still missing, for the `reminder`th time. It is reported again a day later."""

    about: About
    by: str
    due_at: datetime
    reminder: int


@dataclass(frozen=True, slots=True)
class OverrideReviewed:
    """`consequence`: what happens to a version whose override was not justified (`stop`, `roll_back`)."""

    SCHEMA: ClassVar[int] = 2

    about: About
    by: str
    justified: bool
    comment: str
    environment: str = ""
    consequence: str = ""


ReviewEvent = (
    ReviewOpened
    | ReviewRefreshed
    | ReviewApproved
    | ReviewRejected
    | ReviewCommented
    | ReviewLapsed
    | ReviewExpired
    | OverrideUsed
    | AfterReviewOverdue
    | OverrideReviewed
)
