"""Which policy applies to a model, and whether one policy is weaker than another. Pure.

approval decides by these rules, and registry refuses by them a description that selects a weaker policy.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

STAGES = ("Validated", "Production", "NonProduction")
CHALLENGER_CAPS: Mapping[str, int] = {"low": 10, "medium": 5, "high": 0}
"""The percent of the requests in a production environment that all versions without a promotion may get
together, by the model's tier; a version's policy may set another one."""


class Gate(Protocol):
    """One rule of a policy."""

    @property
    def kind(self) -> str:
        """The kind of gate."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters of that kind. A missing one has its default."""


class Selector(Protocol):
    """The models that a policy is for. An empty field selects any."""

    @property
    def namespaces(self) -> Collection[str]:
        """These namespaces, and those below them."""

    @property
    def kinds(self) -> Collection[str]:
        """These kinds of model."""

    @property
    def tiers(self) -> Collection[str]:
        """These risk tiers."""

    @property
    def tags(self) -> Mapping[str, str]:
        """All of these tags with these values."""

    @property
    def environments(self) -> Collection[str]:
        """Promotions to these environments."""


class BreakGlass(Protocol):
    """What an override entails."""

    @property
    def by_maker(self) -> bool:
        """Whether who made a version may override its gates."""

    @property
    def overdue(self) -> str:
        """What an overdue after-review does: `remind` or `block`."""

    @property
    def unjustified(self) -> str:
        """What an override that was not justified does: `stop` or `roll_back`."""


class Policy(Protocol):
    """Gates by stage, and the models that they are for."""

    @property
    def stages(self) -> Mapping[str, Sequence[Gate]]:
        """The gates of each stage."""

    @property
    def applies_to(self) -> Selector:
        """The models that the policy is for."""

    @property
    def priority(self) -> int:
        """Of the policies that select a model, the one with the highest priority applies."""

    @property
    def active(self) -> bool:
        """Whether the policy applies to any model."""

    @property
    def challenger_cap(self) -> int | None:
        """The percent of the requests for versions without a promotion. None: as the tier has it."""

    @property
    def two_to_recall(self) -> bool:
        """Whether a withdrawal needs a second person."""

    @property
    def break_glass(self) -> BreakGlass:
        """What an override entails."""


AnyPolicy = TypeVar("AnyPolicy", bound=Policy)


@dataclass(frozen=True, slots=True)
class Subject:
    """What selects a policy: a model's properties, and the environment of its promotion (else empty)."""

    namespace: str
    kind: str
    tier: str
    tags: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""


def select(
    policies: Iterable[tuple[str, AnyPolicy]], subject: Subject, stage: str
) -> tuple[str, AnyPolicy] | None:
    """Return the name and the policy that apply to the stage of such a model, or None."""
    fitting = [
        (name, p) for name, p in policies if p.active and stage in p.stages and selects(p.applies_to, subject)
    ]
    return max(fitting, key=lambda found: _rank(*found), default=None)


def selects(selector: Selector, subject: Subject) -> bool:
    """Return whether every field of the selector that is given matches."""
    return (
        (not selector.namespaces or any(_covers(n, subject.namespace) for n in selector.namespaces))
        and (not selector.kinds or subject.kind in selector.kinds)
        and (not selector.tiers or subject.tier in selector.tiers)
        and all(subject.tags.get(key) == value for key, value in selector.tags.items())
        and (not selector.environments or subject.environment in selector.environments)
    )


def _covers(outer: str, namespace: str) -> bool:
    return namespace == outer or namespace.startswith(outer + ".")


def _rank(name: str, policy: Policy) -> tuple[int, int, int, str]:
    """Priority, then how many kinds of restriction, then how deep the widest namespace is, then the name."""
    s = policy.applies_to
    depth = min((n.count(".") + 1 for n in s.namespaces), default=0)
    restrictions = len(s.tags) + sum(map(bool, (s.kinds, s.tiers, s.namespaces, s.environments)))
    return policy.priority, restrictions, depth, name


def requires_less(
    before: Policy | None, after: Policy | None, stage: str, tiers: tuple[str, str]
) -> tuple[str, ...]:
    """Return how `after` requires less at the stage than `before`; nothing when it requires as much.

    None: no policy applies, so nothing passes. `tiers`: the model's tier before and after.
    """
    gates = weaker(before.stages[stage] if before else None, after.stages[stage] if after else None)
    if before is None or after is None:
        return gates
    if stage == "Validated":
        return (*gates, *_weaker_rollout(before, after, tiers))
    return (*gates, *_weaker_break_glass(before.break_glass, after.break_glass))


def _weaker_rollout(before: Policy, after: Policy, tiers: tuple[str, str]) -> Iterator[str]:
    was, now = (_cap(policy, tier) for policy, tier in zip((before, after), tiers, strict=True))
    if now > was:
        yield f"versions without a promotion may take {now} percent of the requests; before, {was}"
    if before.two_to_recall and not after.two_to_recall:
        yield "the withdrawal of a version needs no second person"


def _cap(policy: Policy, tier: str) -> int:
    return CHALLENGER_CAPS.get(tier, 0) if policy.challenger_cap is None else policy.challenger_cap


def _weaker_break_glass(before: BreakGlass, after: BreakGlass) -> Iterator[str]:
    if after.by_maker and not before.by_maker:
        yield "who made a version may override its gates"
    if (before.overdue, after.overdue) == ("block", "remind"):
        yield "an overdue after-review blocks no promotion"
    if (before.unjustified, after.unjustified) == ("roll_back", "stop"):
        yield "an unjustified override is not rolled back"


def weaker(before: Sequence[Gate] | None, after: Sequence[Gate] | None) -> tuple[str, ...]:
    """Return how `after` requires less than `before`, as sentences; nothing when it requires as much.

    None: no policy has gates for the stage, so nothing passes it.
    """
    if after is None:
        return ()
    if before is None:
        return ("no policy let any version pass before",)
    gone = [
        f"{_title(gate)} is not required or requires less"
        for gate in before
        if gate.kind != "manual" and not any(_as_strict(gate, other) for other in after)
    ]
    return (*_weaker_people(_manual(before), _manual(after)), *gone)


def approvers(gates: Sequence[Gate] | None) -> int:
    """Return how many people must approve; 0 without a manual gate."""
    found = _manual(gates or ())
    return int(found.get("approvers", 1)) if found is not None else 0


def _manual(gates: Sequence[Gate]) -> Mapping[str, Any] | None:
    return next((gate.params for gate in gates if gate.kind == "manual"), None)


def _weaker_people(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    if before is None:
        return []
    least = int(before.get("approvers", 1))
    if after is None:
        return [f"no person approves; before, {least} did"]
    now = int(after.get("approvers", 1))
    found = [f"{now} of the {least} approvers are enough"] if now < least else []
    more = sorted(set(after.get("roles", ("approver",))) - set(before.get("roles", ("approver",))))
    found += [f"the role {role} may approve, too" for role in more]
    machines = sorted(set(after.get("machines") or {}) - set(before.get("machines") or {}))
    found += [f"the machine {subject} may approve" for subject in machines]
    if after.get("dependent_because") and not before.get("dependent_because"):
        found.append("approvers may depend on those who made or requested the version")
    return [*found, *_weaker_sign_in(before.get("sign_in"), after.get("sign_in"))]


def _weaker_sign_in(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    if before is None:
        return []
    if after is None:
        return ["approvers need not sign in"]
    oldest, now = (_seconds(one.get("max_age")) for one in (before, after))
    found = ["an older sign-in of approvers is enough"] if now > oldest else []
    for name, what in (("acr", "level"), ("amr", "method")):
        asked, taken = set(before.get(name) or ()), set(after.get(name) or ())
        if asked and (not taken or taken - asked):
            found.append(f"approvers may sign in with another {what} ({name})")
    return found


def _seconds(max_age: Any) -> float:
    """Return the seconds of a duration that a service has checked; without one there is no limit."""
    units = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
    text = str(max_age or "").strip()
    return float(text[:-1]) * units[text[-1]] if text else math.inf


_STRICTNESS = {"pass": 0, "tick": 1, "require_independent": 2, "fail": 3}


def _as_strict(before: Gate, after: Gate) -> bool:
    """Return whether `after` lets no version pass that `before` stops."""
    if before.kind != after.kind:
        return False
    a, b = dict(before.params), dict(after.params)
    match before.kind:
        case "metric_threshold":
            return (
                (a.get("metric"), a.get("dataset")) == (b.get("metric"), b.get("dataset"))
                and _at_least(b.get("min"), a.get("min"))
                and _at_least(_negative(b.get("max")), _negative(a.get("max")))
            )
        case "no_regression":
            return (
                a.get("metric") == b.get("metric")
                and float(b.get("tolerance", 0.0)) <= float(a.get("tolerance", 0.0))
                and _strictness(b, "different_data") >= _strictness(a, "different_data")
            )
        case "schema_compatible":
            return _strictness(b, "breaking") >= _strictness(a, "breaking") and bool(
                a.get("allow_major") or not b.get("allow_major")
            )
        case "independent_evaluation":
            return a.get("metric") in {None, b.get("metric")}
        case _:
            return a == b


def _strictness(params: Mapping[str, Any], name: str) -> int:
    return _STRICTNESS.get(str(params.get(name, "fail")), 0)


def _negative(bound: float | None) -> float | None:
    return None if bound is None else -bound


def _at_least(bound: float | None, least: float | None) -> bool:
    return least is None or (bound is not None and bound >= least)


def _title(gate: Gate) -> str:
    metric = gate.params.get("metric")
    return f"{gate.kind} of {metric}" if metric else gate.kind
