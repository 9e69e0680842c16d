"""The semantic version of a new version. Each difference from its base proves a level; the highest wins.

MAJOR  callers notice: the schema accepts or returns less, or a rule of the kind applies.
MINOR  the training changed: code, configuration, features, framework, parents; an optional input was added;
       the primary metric moved.
PATCH  the same training was repeated: other data, another seed, another environment, other bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from semver import Version

from services.registry.domain.model.metadata import Metadata
from services.registry.domain.versioning.change import Change, Level, Part
from services.registry.domain.versioning.diff import IGNORED, differences
from services.registry.domain.versioning.noise import NOISE
from shared.deciding.events import encode

LEVELS: tuple[Level, ...] = get_args(Level)
"""Rising."""
FIRST = Version(1, 0, 0)
MOST_CHANGES = 50
LONGEST_VALUE = 256
"""Bytes of a value's JSON, and characters of a path, that an event holds."""


@dataclass(frozen=True, slots=True)
class BumpPolicy:
    """`metric_threshold`: the move of the primary metric that proves MINOR, relative to its old value.

    `noise`: the configuration keys that do not count, see noise.py.
    """

    metric_threshold: float = 0.02
    noise: tuple[str, ...] = NOISE


DEFAULT = BumpPolicy()

MAJOR_WHEN_RETRAINED = frozenset({"embedding", "preprocessing"})
"""A retrained embedding or tokenizer invalidates every index built with the old one."""

LEVEL_OF_PART: Mapping[Part, Level] = {
    "signature": "minor",
    "code": "minor",
    "config": "minor",
    "features": "minor",
    "framework": "minor",
    "parents": "minor",
    "data": "patch",
    "seed": "patch",
    "environment": "patch",
    "artifact": "patch",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What the producer claims: a `level` or a `version`.

    `exact`: refuse the registration rather than raise the claim.
    """

    level: Level | None = None
    version: str | None = None
    exact: bool = False

    def __str__(self) -> str:
        return self.level or self.version or ""


@dataclass(frozen=True, slots=True)
class Bump:
    """Why a version has its number.

    `level` is the level of the number; `proven` is what the differences prove by `rule`. `base` is the
    version it was compared with (0: none; then there is no level). `changes` are the most important
    differences; `ignored` are the paths of configuration values that changed and do not count; `omitted`
    counts the others of both, which a comparison of the two versions shows.
    """

    level: Level | None
    rule: str
    base: int = 0
    base_semver: str = ""
    claimed: str = ""
    note: str = ""
    proven: Level | None = None
    changes: tuple[Change, ...] = ()
    omitted: int = 0
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proven:
    """The level that the differences prove, by which rule. `ignored` are those that are noise."""

    level: Level
    rule: str
    changes: tuple[Change, ...]
    ignored: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """An exact claim was refused, because the differences (`proof`) prove more or the number is taken."""

    reason: str
    proof: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Base:
    """The version that a new one is compared with."""

    number: int
    semver: Version
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Taken:
    """The numbers that are taken.

    They are the highest major, the highest minor of each major, the highest patch of each `major.minor`.
    A patch below the highest counts as taken even where a claim left a gap: an index of 100,000 numbers would
    cost more.
    """

    major: int
    minors: Mapping[int, int]
    patches: Mapping[str, int]

    def __contains__(self, v: Version) -> bool:
        highest = self.patches.get(f"{v.major}.{v.minor}", -1)
        return bool(v.patch <= highest)

    def next(self, base: Version, level: Level) -> Version:
        """Return the base's next number of that level or, when it is taken, the next free one."""
        wanted = {"patch": base.bump_patch, "minor": base.bump_minor, "major": base.bump_major}[level]()
        if wanted not in self:
            return wanted
        match level:
            case "patch":
                return Version(base.major, base.minor, self.patches[f"{base.major}.{base.minor}"] + 1)
            case "minor":
                return Version(base.major, self.minors[base.major] + 1, 0)
            case "major":
                return Version(self.major + 1, 0, 0)


def proven(kind: str, old: Metadata, new: Metadata, policy: BumpPolicy = DEFAULT) -> Proven:
    """Return the highest level that any difference proves, with the rule that applies."""
    found = differences(old, new, policy.noise)
    ignored = tuple(c for c in found if c.detail == IGNORED)
    changes = tuple(_with_level(c, _level(kind, c, policy)) for c in found if c.detail != IGNORED)
    counting = [c for c in changes if c.level is not None]
    if not counting:
        return Proven("patch", "metadata.changed", changes, ignored)
    decisive = max(counting, key=lambda c: LEVELS.index(c.level or "patch"))
    return Proven(decisive.level or "patch", _rule(kind, decisive), changes, ignored)


def _with_level(c: Change, level: Level | None) -> Change:
    if level is None:
        return c
    return Change(c.part, c.path, c.what, c.before, c.after, c.detail, c.breaking, level)


def _level(kind: str, change: Change, policy: BumpPolicy) -> Level | None:
    if change.breaking or (change.part == "artifact" and kind in MAJOR_WHEN_RETRAINED):
        return "major"
    if change.part == "parents" and kind == "adapter" and change.path == "parents.base_model":
        return "major"  # an adapter fits its base model only
    if change.part == "metrics":
        return "minor" if _moved_enough(change, policy.metric_threshold) else None
    return LEVEL_OF_PART[change.part]


def _moved_enough(change: Change, threshold: float) -> bool:
    if change.detail != "primary" or change.what not in {"better", "worse"}:
        return False
    before, after = float(change.before), float(change.after)
    return abs(after - before) >= threshold * abs(before) * (1 - 1e-9)  # 0.6 to 0.612 is 2 percent


def _rule(kind: str, change: Change) -> str:
    if change.part == "artifact":
        return f"{kind}.retrained"
    return f"{change.part}.{change.what.replace(' ', '_')}"


def decide_number(
    kind: str,
    base: Base | None,
    new: Metadata,
    claim: Claim,
    taken: Taken,
    policy: BumpPolicy = DEFAULT,
    *,
    claim_is_free: bool = False,
) -> tuple[Version, Bump] | ClaimRefused:
    """Return the number of a new version, and why.

    A claim below the proven level is raised, a claim above it is kept; `note` explains both. `claim_is_free`:
    the claimed number is free, though it is below the highest of its line.
    """
    if base is None:
        version = Version.parse(claim.version) if claim.version else FIRST
        return version, Bump(None, "first", claimed=str(claim))
    proof = proven(kind, base.metadata, new, policy)
    changes, omitted = most_important(proof.changes)
    ignored = tuple(_shortened(c).path for c in proof.ignored[:MOST_CHANGES])
    judged = _judged(claim, base.semver, proof, taken, claim_is_free=claim_is_free)
    if isinstance(judged, str):
        return ClaimRefused(judged, changes)
    return judged.number or taken.next(base.semver, judged.level), Bump(
        judged.level,
        proof.rule,
        base.number,
        str(base.semver),
        str(claim),
        judged.note,
        proof.level,
        changes,
        omitted + len(proof.ignored) - len(ignored),
        ignored,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """What becomes of a claim: the level, the claimed number if it is kept, and a note on the claim."""

    level: Level
    number: Version | None = None
    note: str = ""


def _judged(
    claim: Claim, base: Version, proof: Proven, taken: Taken, *, claim_is_free: bool
) -> _Judged | str:
    """Return what becomes of a claim, or why it is refused."""
    if not (claim.level or claim.version):
        return _Judged(proof.level)
    claimed = Version.parse(claim.version) if claim.version else None
    is_taken = claimed is not None and claimed in taken and not claim_is_free
    if is_taken and claim.exact:
        return f"{claimed} is taken: claim a number that is free, or leave the claim out"
    proven_by = f"which is {proof.level} ({proof.rule}) against {base}"
    if _too_small(claim, claimed, base, proof.level):
        reason = f"{claim} is smaller than the proven change, {proven_by}"
        if claim.exact:
            return reason + ": claim at least that level, or leave the claim out"
        return _Judged(proof.level, note=reason + ": raised")
    level = _level_of(claimed, base) if claimed else claim.level or proof.level
    if is_taken:
        return _Judged(level, note=f"{claimed} is taken: the next free number of that level")
    is_larger = LEVELS.index(level) > LEVELS.index(proof.level)
    note = f"{claim} is larger than the proven change, {proven_by}: kept as claimed" if is_larger else ""
    return _Judged(level, claimed, note)


def most_important(changes: Sequence[Change]) -> tuple[tuple[Change, ...], int]:
    """Return the differences that an event holds, highest levels first, and how many more there are.

    A wide model can have thousands of differences.
    """
    ranked = sorted(changes, key=lambda c: -LEVELS.index(c.level) if c.level else 1)
    return tuple(map(_shortened, ranked[:MOST_CHANGES])), max(0, len(changes) - MOST_CHANGES)


def _shortened(change: Change) -> Change:
    path = change.path if len(change.path) <= LONGEST_VALUE else change.path[:LONGEST_VALUE] + "…"
    before, after = _shortened_value(change.before), _shortened_value(change.after)
    if path is change.path and before is change.before and after is change.after:
        return change
    return replace(change, path=path, before=before, after=after)


def _shortened_value(value: Any) -> Any:
    """Return the value, or its digest when it is long."""
    if value is None or isinstance(value, (bool, int, float)) or _is_short_text(value):
        return value
    encoded = encode(value)
    if len(encoded) <= LONGEST_VALUE:
        return value
    return f"sha256:{hashlib.sha256(encoded).hexdigest()[:12]}… ({len(encoded)} bytes)"


def _is_short_text(value: Any) -> bool:
    """Return whether the value is a text that is short even when each character is escaped by one more."""
    return (
        isinstance(value, str)
        and 2 * len(value) + 2 <= LONGEST_VALUE
        and value.isascii()
        and value.isprintable()
    )


def _too_small(claim: Claim, claimed: Version | None, base: Version, level: Level) -> bool:
    if claimed is not None:
        return (
            claimed < {"patch": base.bump_patch, "minor": base.bump_minor, "major": base.bump_major}[level]()
        )
    return claim.level is not None and LEVELS.index(claim.level) < LEVELS.index(level)


def _level_of(version: Version, base: Version) -> Level:
    if version.major != base.major:
        return "major"
    return "minor" if version.minor != base.minor else "patch"
