"""`policy-<name>`: a versioned set of gates for each stage, selected by namespace, kind, tags and risk tier.

`policies-all`: the names of all policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, assert_never

from immutables import Map

from regista.wire.digests import NoDigest
from services.approval.domain.evidence import digest_of
from services.approval.domain.gate_checks import Manual
from services.approval.domain.gate_kinds import Gate, is_manual, params_of
from shared.deciding.access import covers
from shared.deciding.decider import Decider, Fold, Joint, Misrouted, Stale, Streams, Unprocessable

ALL = "policies-all"
VALIDATED, PRODUCTION, NON_PRODUCTION = "Validated", "Production", "NonProduction"
STAGES = (VALIDATED, PRODUCTION, NON_PRODUCTION)
"""What a policy has gates for: the stage Validated, and a promotion to an environment that is production or
not."""
PROMOTIONS = (PRODUCTION, NON_PRODUCTION)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
LONGEST_REVIEW = timedelta(days=366)
"""The longest `expires_in` of a manual gate; checked when a policy is published.

A review that expires after the end of the calendar could not be opened: every request under such a policy
would fail.
"""


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
class Policy:
    """Gates by stage.

    Of the active policies that select a model and have gates for a stage, one applies: the one with the
    highest priority, then the most specific one, then the last one by name. `challenger_cap` is the percent
    of the requests in a production environment that versions which it validated, and which are not promoted
    there, may take; None: as the model's tier has it. `two_to_recall`: the recall of a version that it
    validated needs a second person.
    """

    stages: dict[str, tuple[Gate, ...]]
    applies_to: Selector = Selector()
    description: str = ""
    priority: int = 0
    active: bool = True
    challenger_cap: int | None = None
    two_to_recall: bool = False


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """The policy that decided. All fields are empty when none applied."""

    name: str = ""
    revision: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What selects a policy: a model's properties, and the environment of its promotion (else empty)."""

    namespace: str
    kind: str
    tier: str
    tags: Mapping[str, str]
    environment: str = ""


# commands


@dataclass(frozen=True, slots=True)
class PublishPolicy:
    """Publish the next revision of a policy.

    `expected`: the revision that its author read (0: the policy must be new; None: any). `builtin`: publish
    only if there is no policy of that name.
    """

    name: str
    policy: Policy
    expected: int | None = None
    builtin: bool = False


@dataclass(frozen=True, slots=True)
class ApplyPolicy:
    """Record that all open gates were assessed under this revision."""

    name: str
    revision: int


# events


@dataclass(frozen=True, slots=True)
class PolicyPublished:
    """`digest` is the RFC 8785 digest of the policy. The policy's revision is the event's."""

    SCHEMA: ClassVar[int] = 2

    name: str
    policy: Policy
    digest: str


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """All open gates were assessed under this revision of the policy."""

    name: str
    revision: int


@dataclass(frozen=True, slots=True)
class PolicyListed:
    name: str


PolicyEvent = PolicyPublished | PolicyApplied


@dataclass(frozen=True, slots=True)
class PolicyState:
    """`published`: the revision that applies.

    `unapplied`: the revisions under which open gates are not assessed yet.
    """

    revision: int = 0
    name: str = ""
    published: int = 0
    policy: Policy | None = None
    digest: str = ""
    unapplied: tuple[int, ...] = ()

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


def decide_publish(command: PublishPolicy, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the policy's next revision, and its name for the list where it is new.

    Returns no events when the policy is the same as the published one.
    """
    stream = stream_of(command.name)
    state = streams.state(POLICY, stream)
    if command.builtin and state.revision:
        return {}
    if not _NAME.fullmatch(command.name):
        raise Unprocessable(
            "bad_name",
            "a policy's name has up to 100 of a-z, A-Z, 0-9, - and _, the first no - or _; choose another",
        )
    digest = checked(command.policy)
    if digest == state.digest:
        return {}
    if command.expected is not None and command.expected != state.published:
        raise Stale(
            "stale_policy",
            f"policy {command.name} is at revision {state.published}; read it again, then repeat",
            revision=state.published,
        )
    listed = command.name in streams.state(POLICIES, ALL).names
    return {
        stream: [PolicyPublished(command.name, command.policy, digest)],
        ALL: [] if listed else [PolicyListed(command.name)],
    }


def checked(policy: Policy) -> str:
    """Return the policy's digest. Raises Unprocessable for a policy that could never be applied."""
    try:
        for stage, gates in policy.stages.items():
            _check_gates(stage, gates)
        _check_validated(policy)
        return digest_of(policy)
    except (ValueError, NoDigest) as e:
        raise Unprocessable("bad_policy", str(e)) from None


def _check_gates(stage: str, gates: Sequence[Gate]) -> None:
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r} with gates; use one of {', '.join(STAGES)}")
    people = [params for gate in gates if isinstance(params := params_of(gate), Manual)]
    if people and (stage not in PROMOTIONS or len(people) > 1):
        raise ValueError(
            "only promotions may have a manual gate, and only one; raise its number of approvers instead"
        )
    if any(params.lifetime > LONGEST_REVIEW for params in people):
        raise ValueError(f"a review stays open for {LONGEST_REVIEW.days}d at most; shorten expires_in")
    if len({gate.title for gate in gates}) < len(gates):
        raise ValueError(f"two gates of {stage} have the same name; name one of them")


def _check_validated(policy: Policy) -> None:
    """Raise ValueError for what contradicts the policy's gates for Validated, or their absence."""
    if policy.applies_to.environments and VALIDATED in policy.stages:
        raise ValueError(
            "Validated has no environment; put its gates into a policy that selects no environments"
        )
    if policy.challenger_cap is not None and VALIDATED not in policy.stages:
        raise ValueError(
            "challenger_cap is for versions that the policy validates; add gates for Validated to it"
        )
    if policy.two_to_recall and VALIDATED not in policy.stages:
        raise ValueError(
            "two_to_recall is for versions that the policy validates; add gates for Validated to it"
        )


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
    fitting = [
        s
        for s in policies
        if s.policy and s.policy.active and stage in s.policy.stages and selects(s.policy.applies_to, subject)
    ]
    return max(fitting, key=_rank, default=None)


def selects(selector: Selector, subject: Subject) -> bool:
    """Return whether every field of the selector that is given matches."""
    return (
        (not selector.namespaces or any(covers(n, subject.namespace) for n in selector.namespaces))
        and (not selector.kinds or subject.kind in selector.kinds)
        and (not selector.tiers or subject.tier in selector.tiers)
        and all(subject.tags.get(key) == value for key, value in selector.tags.items())
        and (not selector.environments or subject.environment in selector.environments)
    )


def _rank(state: PolicyState) -> tuple[int, int, int, str]:
    """Priority, then how many kinds of restriction, then how deep the widest namespace is, then the name."""
    policy = state.policy or Policy({})
    s = policy.applies_to
    depth = min((n.count(".") + 1 for n in s.namespaces), default=0)
    return (
        policy.priority,
        len(s.tags) + sum(map(bool, (s.kinds, s.tiers, s.namespaces, s.environments))),
        depth,
        state.name,
    )


def automated(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if not is_manual(gate))


def manual(gates: Iterable[Gate]) -> Manual | None:
    """Return the parameters of the manual gate, or None when there is no such gate."""
    return next((params_of(gate) for gate in gates if is_manual(gate)), None)


POLICY: Decider[ApplyPolicy, PolicyEvent, PolicyState] = Decider(
    "policy", PolicyState(), evolve, decide=decide
)
POLICIES: Fold[PolicyListed, PoliciesState] = Fold("policies", PoliciesState(), evolve_all)

DECIDERS: dict[type, Decider[Any, Any, Any] | Joint[Any]] = {
    PublishPolicy: Joint(decide_publish),
    ApplyPolicy: POLICY,
}
