"""`policy-<name>`: a versioned set of gates for each stage, chosen by namespace, kind, tags and risk tier.

`policies-all`: which names there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, assert_never

from immutables import Map

from regista.wire.digests import NoDigest
from services.approval.domain.evidence import digest_of
from services.approval.domain.gate_kinds import Gate, Manual, is_manual, params_of
from shared.deciding.access import covers
from shared.deciding.decider import Decider, Fold, Misrouted, Stale, Streams, Unprocessable

ALL = "policies-all"
VALIDATED, PRODUCTION = "Validated", "Production"
STAGES = (VALIDATED, PRODUCTION)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
LONGEST_REVIEW = timedelta(days=366)
"""Checked when a policy is published.

Beyond the calendar's end no review could be opened, and every request under the policy would fail.
"""


@dataclass(frozen=True, slots=True)
class Selector:
    """Empty means any. A namespace also means those below it (`risk` selects `risk.cards`)."""

    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """Gates by stage.

    Of several policies that select a model and speak of a stage, the one of highest priority, then the most
    specific, rules.
    """

    stages: dict[str, tuple[Gate, ...]]
    applies_to: Selector = Selector()
    description: str = ""
    priority: int = 0
    active: bool = True


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """Which policy decided; all empty when none applied."""

    name: str = ""
    revision: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a policy is chosen by."""

    namespace: str
    kind: str
    tier: str
    tags: Mapping[str, str]


# commands


@dataclass(frozen=True, slots=True)
class PublishPolicy:
    """`expected`: the revision its author saw (0: none, so there must be none; None: whatever is there).

    `builtin`: only where there is no policy of that name yet.
    """

    name: str
    policy: Policy
    expected: int | None = None
    builtin: bool = False


@dataclass(frozen=True, slots=True)
class ApplyPolicy:
    """Every open gate was told of the policy."""

    name: str
    revision: int


# events


@dataclass(frozen=True, slots=True)
class PolicyPublished:
    """`digest` is the RFC 8785 digest of the policy; the revision is the event's own."""

    name: str
    policy: Policy
    digest: str


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """The open gates were evaluated again under this revision of the policy."""

    name: str
    revision: int


@dataclass(frozen=True, slots=True)
class PolicyListed:
    name: str


@dataclass(frozen=True, slots=True)
class PolicyState:
    """`published` is the revision that rules; `unapplied` are those under which the open gates are still to be asked again."""

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


def evolve(state: PolicyState, event: PolicyPublished | PolicyApplied) -> PolicyState:
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
    """The policy's next revision, and its name on the list where it is new.

    The same policy again changes nothing.
    """
    stream = stream_of(command.name)
    state: PolicyState = streams.states[stream]
    if command.builtin and state.revision:
        return {}
    if not _NAME.fullmatch(command.name):
        raise Unprocessable(
            "bad_name",
            "a policy's name has letters a to z, digits, - and _, at most 100, and begins with none of the last two: choose another",
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
    listed = command.name in streams.states[ALL].names
    return {
        stream: [PolicyPublished(command.name, command.policy, digest)],
        ALL: [] if listed else [PolicyListed(command.name)],
    }


def checked(policy: Policy) -> str:
    """The policy's digest. Raises Unprocessable for what could never be evaluated."""
    try:
        for stage, gates in policy.stages.items():
            _check_gates(stage, gates)
        return digest_of(policy)
    except (ValueError, NoDigest) as e:
        raise Unprocessable("bad_policy", str(e)) from None


def _check_gates(stage: str, gates: Sequence[Gate]) -> None:
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r} with gates; known are {', '.join(STAGES)}")
    people = [params for gate in gates if isinstance(params := params_of(gate), Manual)]
    if people and (stage != PRODUCTION or len(people) > 1):
        raise ValueError(
            "only Production has a manual gate, and only one: raise its number of approvers instead"
        )
    if any(params.lifetime > LONGEST_REVIEW for params in people):
        raise ValueError(f"a review stays open for {LONGEST_REVIEW.days}d at most: shorten expires_in")
    if len({gate.title for gate in gates}) < len(gates):
        raise ValueError(f"two gates of {stage} have the same name; give one a name of its own")


def in_force(streams: Streams) -> tuple[PolicyState, ...]:
    """Every policy there is. Raises Misrouted when one was added after the streams were named."""
    names = streams.states[ALL].names
    if any(stream_of(name) not in streams.states for name in names):
        raise Misrouted("policies_changed", "a policy was added meanwhile; read the names again, then repeat")
    return tuple(streams.states[stream_of(name)] for name in sorted(names))


def select(policies: Iterable[PolicyState], subject: Subject, stage: str) -> PolicyState | None:
    """The policy that rules the stage of such a model."""
    fitting = [
        s
        for s in policies
        if s.policy and s.policy.active and stage in s.policy.stages and selects(s.policy.applies_to, subject)
    ]
    return max(fitting, key=_rank, default=None)


def selects(selector: Selector, subject: Subject) -> bool:
    return (
        (not selector.namespaces or any(covers(n, subject.namespace) for n in selector.namespaces))
        and (not selector.kinds or subject.kind in selector.kinds)
        and (not selector.tiers or subject.tier in selector.tiers)
        and all(subject.tags.get(key) == value for key, value in selector.tags.items())
    )


def _rank(state: PolicyState) -> tuple[int, int, int, str]:
    policy = state.policy or Policy({})
    s = policy.applies_to
    depth = min((n.count(".") + 1 for n in s.namespaces), default=0)
    return (
        policy.priority,
        len(s.tags) + bool(s.kinds) + bool(s.tiers) + bool(s.namespaces),
        depth,
        state.name,
    )


def automated(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if not is_manual(gate))


def manual(gates: Iterable[Gate]) -> Manual | None:
    """How people decide, where the gates have them decide at all."""
    return next((params_of(gate) for gate in gates if is_manual(gate)), None)


POLICY: Decider[ApplyPolicy, PolicyPublished | PolicyApplied, PolicyState] = Decider(
    "policy", PolicyState(), evolve, decide=decide
)


POLICIES: Fold[PolicyListed, PoliciesState] = Fold("policies", PoliciesState(), evolve_all)
