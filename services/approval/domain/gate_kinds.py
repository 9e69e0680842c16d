"""The kinds of gate a policy may name, each a pure question on the evidence. To add a kind: its parameters, its question, a line in KINDS.

Rules are phrased positively (`value >= bound`), so that what is missing and what is no number denies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal

import msgspec

from regista.wire.signature import incompatibilities
from services.approval.domain.comparison import comparable, is_independent, measured, primary_metric
from services.approval.domain.evidence import Evidence, digest_of
from services.approval.domain.noted import Evaluation

_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|m|h|d)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
ROLES = ("publisher", "engineer", "approver", "auditor", "admin")
"""Who may be asked to approve.

`override` is not among them: it is for breaking the glass, and nothing else.
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """One rule of a policy, as data. `name` is how results call it; empty means its kind (and metric)."""

    kind: str
    params: dict[str, Any]
    name: str = ""

    @property
    def title(self) -> str:
        metric = self.params.get("metric")
        return self.name or (f"{self.kind}:{metric}" if metric else self.kind)


@dataclass(frozen=True, slots=True)
class Result:
    """What a gate said.

    `detail` tells what to do next where it did not pass; `inputs_digest` covers what it looked at.
    """

    gate: str
    passed: bool
    detail: str
    inputs_digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    passed: bool
    detail: str
    inputs: Any


@dataclass(frozen=True, slots=True)
class NoParams:
    pass


@dataclass(frozen=True, slots=True)
class MetricThreshold:
    """`min` and `max` are inclusive; at least one is given.

    `dataset` is a name or digest; without it every data set must hold.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class NoRegression:
    """`metric` empty: the version's primary one.

    `tolerance` is absolute. `different_data`: what not being comparable means.
    """

    metric: str | None = None
    tolerance: float = 0.0
    different_data: Literal["pass", "fail", "require_independent"] = "fail"


@dataclass(frozen=True, slots=True)
class SchemaCompatible:
    """`allow_major`: a version that says MAJOR may break its callers."""

    allow_major: bool = False


@dataclass(frozen=True, slots=True)
class IndependentEvaluation:
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Manual:
    """People decide: `approvers` distinct ones, each with one of `roles` in the model's namespace, within `expires_in` (30m, 12h, 7d)."""

    approvers: int = 1
    roles: tuple[str, ...] = ("approver",)
    expires_in: str = "7d"

    @property
    def lifetime(self) -> timedelta:
        return duration(self.expires_in)


def duration(text: str) -> timedelta:
    """`45s`, `30m`, `12h`, `7d`. Raises ValueError."""
    if not (found := _DURATION.fullmatch(text)):
        raise ValueError(f"{text!r} is no duration: write a number and one of s, m, h, d, as in 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _metadata_complete(_p: NoParams, e: Evidence) -> Answer:
    missing = ", ".join(e.missing)
    return Answer(
        not e.missing,
        f"missing: {missing}; add it to the version" if missing else "all mandatory metadata is there",
        e.missing,
    )


def _artifact_verified(_p: NoParams, e: Evidence) -> Answer:
    passed = bool(e.artifact_digest) and e.artifact == "released"
    detail = (
        "the stored bytes match the registered digest"
        if passed
        else f"the artifact is {e.artifact or 'not verified'}; publish the version again with the bytes that it names"
    )
    return Answer(passed, detail, [e.artifact_digest, e.artifact])


def _metric_threshold(p: MetricThreshold, e: Evidence) -> Answer:
    found = measured(e.evaluations, p.metric, e.makers, p.dataset)
    where = f" on {p.dataset}" if p.dataset else ""
    if not found:
        return Answer(False, f"{p.metric} was not measured{where}; record an evaluation", [])
    low = [m for m in found if not _within(m.value, p.min, p.max)]
    bounds = " and ".join(
        f"{word} {bound:g}" for word, bound in (("at least", p.min), ("at most", p.max)) if bound is not None
    )
    told = ", ".join(_told(m) for m in low or found)
    return Answer(not low, f"{told}; {'must be' if low else 'is'} {bounds}", found)


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return (
        value is not None
        and (low is None or value >= low)
        and (high is None or value <= high)
        and (low is not None or high is not None)
    )


def _no_regression(p: NoRegression, e: Evidence) -> Answer:
    champion = e.champion
    if champion is None or champion.number == e.number:
        return Answer(True, "there is no other champion to be worse than", [champion and champion.number])
    metric = p.metric or primary_metric(e.evaluations)
    if not metric:
        return Answer(
            False,
            "no metric is marked primary; mark one, or name the metric in the policy",
            [champion.number],
        )
    mine, theirs = (measured(found, metric, e.makers) for found in (e.evaluations, champion.evaluations))
    pairs = [(m, t) for m in mine for t in theirs if comparable(m, t)]
    if not pairs:
        return _different_data(p, metric, e, champion.number, mine)
    worse = [pair for pair in pairs if not _holds_up(*pair, p.tolerance)]
    m, t = (worse or pairs)[0]
    verb = "is worse than" if worse else "holds up to"
    detail = f"{_told(m)} {verb} {_number(t.value)} of the champion {champion.semver or champion.number} (tolerance {p.tolerance:g})"
    return Answer(not worse, detail, [champion.number, pairs])


def _holds_up(mine: Evaluation, theirs: Evaluation, tolerance: float) -> bool:
    if mine.value is None or theirs.value is None:
        return False
    return (
        mine.value >= theirs.value - tolerance
        if mine.higher_is_better
        else mine.value <= theirs.value + tolerance
    )


def _different_data(
    p: NoRegression, metric: str, e: Evidence, champion: int, mine: tuple[Evaluation, ...]
) -> Answer:
    said = f"{metric} is not comparable: version {champion}, the champion, was not measured on the same data by the same definition"
    if p.different_data == "require_independent":
        passed = any(_vouches(m, e) for m in mine)
        return Answer(
            passed,
            said
            + ("; an independent evaluation vouches" if passed else "; record an independent evaluation"),
            [champion, mine],
        )
    passed = p.different_data == "pass"
    return Answer(passed, said + ("" if passed else "; evaluate both on one data set"), [champion, mine])


def _schema_compatible(p: SchemaCompatible, e: Evidence) -> Answer:
    champion = e.champion
    if champion is None or champion.number == e.number:
        return Answer(True, "there is no other champion to stay compatible with", [])
    inputs = [champion.number, champion.signature, e.signature, e.bump]
    if p.allow_major and e.bump == "major":
        return Answer(True, "a MAJOR version may break its callers", inputs)
    if champion.signature is None or e.signature is None:
        return Answer(
            False, "a signature is missing; publish the version with its input and output schema", inputs
        )
    broken = "; ".join(map(str, incompatibilities(champion.signature, e.signature)))
    known = f"callers of the champion {champion.semver or champion.number}"
    return Answer(
        not broken, f"{known} would break: {broken}" if broken else f"{known} can call it unchanged", inputs
    )


def _independent_evaluation(p: IndependentEvaluation, e: Evidence) -> Answer:
    found = [m for m in e.evaluations if _vouches(m, e) and p.metric in {None, m.name}]
    wish = f"an independent evaluation{f' of {p.metric}' if p.metric else ''}"
    return Answer(
        bool(found),
        f"{wish} is there"
        if found
        else f"{wish} is missing; somebody who did not make the version records one",
        found,
    )


def _vouches(m: Evaluation, e: Evidence) -> bool:
    return is_independent(m, e.makers) and m.value is not None


def _told(m: Evaluation) -> str:
    where = f" on {m.dataset_name or m.dataset_digest}" if m.dataset_name or m.dataset_digest else ""
    return f"{m.name} {_number(m.value)}{where}"


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.6g}"


@dataclass(frozen=True, slots=True)
class Kind:
    """`ask` is None for a gate that people decide."""

    params: type
    ask: Callable[[Any, Evidence], Answer] | None


KINDS: Mapping[str, Kind] = {
    "metadata_complete": Kind(NoParams, _metadata_complete),
    "artifact_verified": Kind(NoParams, _artifact_verified),
    "metric_threshold": Kind(MetricThreshold, _metric_threshold),
    "no_regression": Kind(NoRegression, _no_regression),
    "schema_compatible": Kind(SchemaCompatible, _schema_compatible),
    "independent_evaluation": Kind(IndependentEvaluation, _independent_evaluation),
    "manual": Kind(Manual, None),
}


def params_of(gate: Gate) -> Any:
    """The gate's typed parameters.

    Raises ValueError for an unknown kind, an unknown parameter or a wrong value, saying which are known.
    """
    if gate.kind not in KINDS:
        raise ValueError(f"there is no gate of kind {gate.kind!r}; known are {', '.join(KINDS)}")
    wanted = KINDS[gate.kind].params
    known = [f.name for f in fields(wanted)]
    if unknown := gate.params.keys() - set(known):
        raise ValueError(
            f"{gate.kind} has no parameter {', '.join(sorted(unknown))}; known are {', '.join(known) or 'none'}"
        )
    try:
        params: Any = msgspec.convert(gate.params, wanted)
    except msgspec.ValidationError as e:
        raise ValueError(f"{gate.kind}: {e}") from None
    if isinstance(params, MetricThreshold) and params.min is None and params.max is None:
        raise ValueError(f"{gate.title} needs min or max")
    if isinstance(params, Manual):
        duration(params.expires_in)
        if params.approvers < 1 or not params.roles:
            raise ValueError("manual needs at least one approver and one role")
        if unknown := set(params.roles) - set(ROLES):
            raise ValueError(
                f"manual cannot ask for {', '.join(sorted(unknown))}: name roles of {', '.join(ROLES)}"
            )
    return params


def is_manual(gate: Gate) -> bool:
    """Whether people decide it. A kind that is not known is asked like an automated one, and denies."""
    return gate.kind in KINDS and KINDS[gate.kind].ask is None


def ask(gate: Gate, evidence: Evidence) -> Result:
    """What an automated gate says of the evidence.

    One that this release cannot ask (a policy of a newer one) denies.
    """
    try:
        params = params_of(gate)
    except ValueError as e:
        return Result(gate.title, False, f"cannot be asked: {e}", digest_of([gate.kind]))
    question = KINDS[gate.kind].ask
    answer = question(params, evidence) if question else Answer(False, "people decide this gate", [])
    return Result(gate.title, answer.passed, answer.detail, digest_of(answer.inputs))
