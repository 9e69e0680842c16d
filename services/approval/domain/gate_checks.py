"""The check of each kind of gate: its parameters, and what it finds in the evidence.

Write rules positively (`value >= bound`), so that a missing value and NaN deny.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from regista.wire.signature import incompatibilities
from services.approval.domain.comparison import comparable, is_independent, measured, primary_metric
from services.approval.domain.evidence import Evidence
from services.approval.domain.noted import Evaluation
from services.approval.domain.sign_in import SignInAsked
from shared.deciding.durations import parse_duration


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `inputs` is the evidence that it read.

    `tick`: it passes only if each approver accepts it.
    """

    passed: bool
    detail: str
    inputs: Any
    tick: bool = False


@dataclass(frozen=True, slots=True)
class MetadataComplete:
    """The version has all mandatory metadata. No parameters."""


@dataclass(frozen=True, slots=True)
class ArtifactVerified:
    """The stored bytes match the registered digest. No parameters."""


@dataclass(frozen=True, slots=True)
class MetricThreshold:
    """The metric is within bounds.

    `min`, `max`: inclusive; give at least one. `dataset`: a name or digest; without it the metric must be
    within bounds on every data set that it was measured on.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class NoRegression:
    """The metric is not worse than the champion's on the same data set.

    `metric`: without it, the version's primary one. `tolerance`: absolute. `different_data`: the result when
    the two versions were not measured on the same data set; with `tick`, each approver must accept it.
    """

    metric: str | None = None
    tolerance: float = 0.0
    different_data: Literal["pass", "tick", "fail", "require_independent"] = "fail"


@dataclass(frozen=True, slots=True)
class SchemaCompatible:
    """The champion's callers can call the version unchanged.

    `allow_major`: a MAJOR version may break them. `breaking`: the result when it breaks them; with `tick`,
    each approver must accept it.
    """

    allow_major: bool = False
    breaking: Literal["tick", "fail"] = "fail"


@dataclass(frozen=True, slots=True)
class LineageSound:
    """No version that this one was made from, at any distance, is withdrawn. No parameters."""


@dataclass(frozen=True, slots=True)
class IndependentEvaluation:
    """Someone who did not make the version has evaluated it. `metric`: without it, any metric."""

    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Manual:
    """People approve, in Production only.

    `approvers`: how many distinct people. `roles`: each of them has one of these in the model's namespace.
    `expires_in`: how long the review stays open (30m, 12h, 7d). `machines`: subjects that may approve without
    being people, each with the reason. `dependent_because`: why approvers count whom a maker or the requester
    created, granted or keyed; without a reason they do not. `sign_in` {max_age, acr, amr}: approvers sign in
    at a trusted issuer, at most `max_age` ago (15m), with a level of `acr` and a method of `amr`.
    """

    approvers: int = 1
    roles: tuple[str, ...] = ("approver",)
    expires_in: str = "7d"
    machines: dict[str, str] = field(default_factory=dict)
    dependent_because: str = ""
    sign_in: SignInAsked | None = None

    @property
    def lifetime(self) -> timedelta:
        return duration(self.expires_in)


def duration(text: str) -> timedelta:
    """Return the time that people get. Raises ValueError where it is no duration, or none is left."""
    if not (seconds := parse_duration(text)):
        raise ValueError(f"{text!r} leaves no time; write a longer duration, as in 7d")
    return timedelta(seconds=seconds)


def metadata_complete(_p: MetadataComplete, e: Evidence) -> Finding:
    missing = ", ".join(e.missing)
    return Finding(
        not e.missing,
        f"missing: {missing}; add it to the version" if missing else "all mandatory metadata is present",
        e.missing,
    )


def artifact_verified(_p: ArtifactVerified, e: Evidence) -> Finding:
    passed = bool(e.artifact_digest) and e.artifact == "released"
    state = {"": "not verified", "recalled": "withdrawn"}.get(e.artifact, e.artifact)
    detail = (
        "the stored bytes match the registered digest"
        if passed
        else f"the artifact is {state}; publish the version again with its bytes"
    )
    return Finding(passed, detail, [e.artifact_digest, e.artifact])


def metric_threshold(p: MetricThreshold, e: Evidence) -> Finding:
    found = measured(e.evaluations, p.metric, e.makers, p.dataset)
    where = f" on {p.dataset}" if p.dataset else ""
    if not found:
        return Finding(False, f"{p.metric} was not measured{where}; record an evaluation", [])
    low = [m for m in found if not _within(m.value, p.min, p.max)]
    bounds = " and ".join(
        f"{word} {bound:g}" for word, bound in (("at least", p.min), ("at most", p.max)) if bound is not None
    )
    figures = ", ".join(_figure(m) for m in low or found)
    return Finding(not low, f"{figures}; {'must be' if low else 'is'} {bounds}", found)


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return (
        value is not None
        and (low is None or value >= low)
        and (high is None or value <= high)
        and (low is not None or high is not None)
    )


def no_regression(p: NoRegression, e: Evidence) -> Finding:
    champion = e.champion
    if champion is None or champion.number == e.number:
        return Finding(
            True,
            "no other version is the champion, so there is nothing to compare with",
            [champion and champion.number],
        )
    metric = p.metric or primary_metric(e.evaluations)
    if not metric:
        return Finding(
            False,
            "no metric is marked primary; mark one, or name the metric in the policy",
            [champion.number],
        )
    mine, theirs = (measured(found, metric, e.makers) for found in (e.evaluations, champion.evaluations))
    pairs = [(m, t) for m in mine for t in theirs if comparable(m, t)]
    if not pairs:
        return _different_data(p, metric, e, champion.number, mine)
    worse = [pair for pair in pairs if not _is_no_worse(*pair, p.tolerance)]
    m, t = (worse or pairs)[0]
    verb = "is worse than" if worse else "is no worse than"
    theirs_is = f"{_number(t.value)} of the champion {champion.semver or champion.number}"
    detail = f"{_figure(m)} {verb} {theirs_is} (tolerance {p.tolerance:g})"
    return Finding(not worse, detail, [champion.number, pairs])


def _is_no_worse(mine: Evaluation, theirs: Evaluation, tolerance: float) -> bool:
    if mine.value is None or theirs.value is None:
        return False
    return (
        mine.value >= theirs.value - tolerance
        if mine.higher_is_better
        else mine.value <= theirs.value + tolerance
    )


def _different_data(
    p: NoRegression, metric: str, e: Evidence, champion: int, mine: tuple[Evaluation, ...]
) -> Finding:
    found = (
        f"{metric} is not comparable: the champion, version {champion}, was not measured on the same data by "
        "the same definition"
    )
    if p.different_data == "require_independent":
        passed = any(_is_independent_figure(m, e) for m in mine)
        return Finding(
            passed,
            found
            + ("; there is an independent evaluation" if passed else "; record an independent evaluation"),
            [champion, mine],
        )
    if p.different_data == "tick":
        return Finding(True, f"{found}; each approver must accept that", [champion, mine], tick=True)
    passed = p.different_data == "pass"
    return Finding(passed, found + ("" if passed else "; evaluate both on one data set"), [champion, mine])


def schema_compatible(p: SchemaCompatible, e: Evidence) -> Finding:
    champion = e.champion
    if champion is None or champion.number == e.number:
        return Finding(True, "no other version is the champion, so it has no callers", [])
    inputs = [champion.number, champion.signature, e.signature, e.bump]
    if p.allow_major and e.bump == "major":
        return Finding(True, "a MAJOR version may break its callers", inputs)
    tick = p.breaking == "tick"
    then = "; each approver must accept that" if tick else ""
    if champion.signature is None or e.signature is None:
        missing = "a schema is missing; publish the version with that of its inputs and outputs"
        return Finding(tick, missing + then, inputs, tick)
    broken = "; ".join(map(str, incompatibilities(champion.signature, e.signature)))
    callers = f"callers of the champion {champion.semver or champion.number}"
    if not broken:
        return Finding(True, f"{callers} can call it unchanged", inputs)
    return Finding(tick, f"{callers} would break: {broken}{then}", inputs, tick)


def lineage_sound(_p: LineageSound, e: Evidence) -> Finding:
    withdrawn = "; ".join(e.recalled_ancestors)
    return Finding(
        not e.recalled_ancestors,
        f"the version {withdrawn}; train it again from a sound version, or have the withdrawal reversed"
        if withdrawn
        else "no version that it was made from is withdrawn",
        e.recalled_ancestors,
    )


def independent_evaluation(p: IndependentEvaluation, e: Evidence) -> Finding:
    found = [m for m in e.evaluations if _is_independent_figure(m, e) and p.metric in {None, m.name}]
    needed = f"an independent evaluation{f' of {p.metric}' if p.metric else ''}"
    return Finding(
        bool(found),
        f"there is {needed}"
        if found
        else f"{needed} is missing; ask someone who did not make the version to record one",
        found,
    )


def _is_independent_figure(m: Evaluation, e: Evidence) -> bool:
    return is_independent(m, e.makers) and m.value is not None


def _figure(m: Evaluation) -> str:
    where = f" on {m.dataset_name or m.dataset_digest}" if m.dataset_name or m.dataset_digest else ""
    return f"{m.name} {_number(m.value)}{where}"


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.6g}"
