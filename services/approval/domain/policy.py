"""`policy-<name>`: a versioned set of gates for each stage, selected by namespace, kind, tags and risk tier.

`policies-all`: the names of all policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, assert_never

from immutables import Map

from regista.wire import policies as policies_of
from regista.wire.policies import Subject
from services.approval.domain.gate_checks import Manual
from services.approval.domain.gate_kinds import Gate, is_manual, params_of
from shared.deciding.decider import Decider, Fold, Misrouted, Streams
from shared.deciding.person import Person

ALL = "policies-all"
VALIDATED, PRODUCTION, NON_PRODUCTION = "Validated", "Production", "NonProduction"
STAGES = (VALIDATED, PRODUCTION, NON_PRODUCTION)
"""What a policy has gates for: the stage Validated, and a promotion to an environment that is production or
not."""
PROMOTIONS = (PRODUCTION, NON_PRODUCTION)


@dataclass(frozen=True, slots=True)
class Selector:
    """The models and the environments that a policy is for.

    An empty field selects any; a namespace selects those below it, too. A policy with `environments` is only
    for promotions there.
    """

    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    environments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """What an override of this policy entails.

    `by_maker`: who made the version may override. `after_review_in`: how long until the after-review is
    overdue. `overdue`: what an overdue one does to the model's next promotions. `unjustified`: what happens
    to the version when the override was not justified; it gets no further traffic in either case.
    """

    by_maker: bool = False
    after_review_in: str = "3d"
    overdue: Literal["remind", "block"] = "remind"
    unjustified: Literal["stop", "roll_back"] = "stop"


@dataclass(frozen=True, slots=True)
class Policy:
    """Gates by stage.

    Of the active policies that select a model and have gates for a stage, one applies: the one with the
    highest priority, then the most specific one, then the last one by name. `challenger_cap` is the percent
    of the requests in a production environment that versions which it validated, and which are not promoted
    there, may take; None: as the model's tier has it. `two_to_recall`: the withdrawal of a version that it
    validated needs a second person. `unreviewed`: no person approves Production, for `unreviewed_reason`.
    """

    stages: dict[str, tuple[Gate, ...]]
    applies_to: Selector = Selector()
    description: str = ""
    priority: int = 0
    active: bool = True
    challenger_cap: int | None = None
    two_to_recall: bool = False
    unreviewed: bool = False
    unreviewed_reason: str = ""
    break_glass: BreakGlass = BreakGlass()


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """The policy that decided. All fields are empty when none applied."""

    name: str = ""
    revision: int = 0
    digest: str = ""


# commands


@dataclass(frozen=True, slots=True)
class PublishPolicy:
    """Publish the next revision of a policy, or propose it where it is weaker and there is a second admin.

    `expected`: the revision that its author read (0: the policy must be new; None: any). `builtin`: publish
    only if there is no policy of that name. `other_admins`: the other people who are admin everywhere.
    `subjects`: the descriptions that models have.
    """

    name: str
    policy: Policy
    expected: int | None = None
    builtin: bool = False
    by: str = ""
    other_admins: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfirmPolicy:
    """Publish a proposed revision. `revision`: that of the proposal."""

    name: str
    revision: int
    by: Person
    proposer: Person


@dataclass(frozen=True, slots=True)
class ApplyPolicy:
    """Record that all open gates were assessed under this revision."""

    name: str
    revision: int


# events


@dataclass(frozen=True, slots=True)
class PolicyPublished:
    """`digest` is the RFC 8785 digest of the policy. The policy's revision is the event's.

    `weaker`: how the policies require less than before. `proposed_by`: the admin who proposed it, where a
    second one confirmed it.
    """

    SCHEMA: ClassVar[int] = 3

    name: str
    policy: Policy
    digest: str
    weaker: tuple[str, ...] = ()
    proposed_by: str = ""


@dataclass(frozen=True, slots=True)
class PolicyProposed:
    """A weaker revision that a second admin must confirm. It does not apply yet."""

    name: str
    policy: Policy
    digest: str
    weaker: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class ProposalWithdrawn:
    """The published revision was published again, so the proposal is no longer wanted."""

    name: str


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """All open gates were assessed under this revision of the policy."""

    name: str
    revision: int


@dataclass(frozen=True, slots=True)
class PolicyListed:
    name: str


PolicyEvent = PolicyPublished | PolicyProposed | ProposalWithdrawn | PolicyApplied


@dataclass(frozen=True, slots=True)
class Proposal:
    """`revision` is that of the event in the policy's stream."""

    revision: int
    policy: Policy
    digest: str
    weaker: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class PolicyState:
    """`published`: the revision that applies.

    `unapplied`: the revisions under which open gates are not assessed yet. `proposal`: what a second
    admin may confirm.
    """

    revision: int = 0
    name: str = ""
    published: int = 0
    policy: Policy | None = None
    digest: str = ""
    unapplied: tuple[int, ...] = ()
    proposal: Proposal | None = None

    @property
    def ref(self) -> PolicyRef:
        return PolicyRef(self.name, self.published, self.digest)


@dataclass(frozen=True, slots=True)
class PoliciesState:
    names: Map[str, bool] = field(default=Map())


def stream_of(name: str) -> str:
    return f"policy-{name}"


def evolve(state: PolicyState, event: PolicyEvent) -> PolicyState:
    revision = state.revision + 1
    match event:
        case PolicyPublished(name=name, policy=policy, digest=digest):
            return PolicyState(revision, name, revision, policy, digest, (*state.unapplied, revision))
        case PolicyProposed(name=name, policy=policy, digest=digest, weaker=weaker, by=by):
            return replace(
                state,
                revision=revision,
                name=name,
                proposal=Proposal(revision, policy, digest, weaker, by),
            )
        case ProposalWithdrawn():
            return replace(state, revision=revision, proposal=None)
        case PolicyApplied(revision=applied):
            return replace(
                state, revision=revision, unapplied=tuple(r for r in state.unapplied if r != applied)
            )
        case _:
            assert_never(event)


def evolve_all(state: PoliciesState, event: PolicyListed) -> PoliciesState:
    return PoliciesState(state.names.set(event.name, True))


def decide(command: ApplyPolicy, state: PolicyState) -> Sequence[PolicyApplied]:
    return [PolicyApplied(command.name, command.revision)] if command.revision in state.unapplied else []


def in_force(streams: Streams) -> tuple[PolicyState, ...]:
    """Return every policy. Raises Misrouted when one was added after the streams were looked up."""
    names = streams.state(POLICIES, ALL).names
    if any(stream_of(name) not in streams.states for name in names):
        raise Misrouted(
            "policies_changed", "a policy was added in the meantime; look up the names again, then repeat"
        )
    return tuple(streams.state(POLICY, stream_of(name)) for name in sorted(names))


def select(policies: Iterable[PolicyState], subject: Subject, stage: str) -> PolicyState | None:
    """Return the policy that applies to the stage of such a model, or None."""
    by_name = {state.name: state for state in policies}
    named = ((state.name, state.policy) for state in by_name.values() if state.policy)
    found = policies_of.select(named, subject, stage)
    return by_name[found[0]] if found else None


def automated(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if not is_manual(gate))


def manual(gates: Iterable[Gate]) -> Manual | None:
    """Return the parameters of the manual gate, or None when there is no such gate."""
    return next((params_of(gate) for gate in gates if is_manual(gate)), None)


POLICY: Decider[ApplyPolicy, PolicyEvent, PolicyState] = Decider(
    "policy", PolicyState(), evolve, decide=decide
)
POLICIES: Fold[PolicyListed, PoliciesState] = Fold("policies", PoliciesState(), evolve_all)

DECIDERS: dict[type, Decider[Any, Any, Any]] = {ApplyPolicy: POLICY}
