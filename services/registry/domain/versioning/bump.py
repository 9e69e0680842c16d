"""The semantic version of a new version: what changed against its base proves a level, and the highest proven level wins.

MAJOR  callers notice: the signature accepts or gives less, or the kind's own rule says so.
MINOR  something was done differently: code, configuration, features, framework, parents; an optional input; the primary metric moved.
PATCH  the same, retrained: other data, another seed, another environment, other bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from semver import Version

from services.registry.domain.registration.metadata import Metadata
from services.registry.domain.versioning.change import Change, Level
from services.registry.domain.versioning.diff import NOISE, differences
from shared.deciding.events import encode

LEVELS: tuple[Level, ...] = ("patch", "minor", "major")
FIRST = Version(1, 0, 0)
MOST_TOLD = 50
LONGEST_TOLD = 256
"""Bytes of a value's JSON, characters of a path."""


@dataclass(frozen=True, slots=True)
class BumpPolicy:
    """`metric_threshold`: how far the primary metric must move to count, relative to its old value.

    `noise`: see diff.NOISE.
    """

    metric_threshold: float = 0.02
    noise: tuple[str, ...] = NOISE


DEFAULT = BumpPolicy()

MAJOR_WHEN_RETRAINED = frozenset({"embedding", "preprocessing"})
"""A retrained embedding or tokenizer invalidates every index built with the old one."""

LEVEL_OF_PART: Mapping[str, Level] = {
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
    """What the producer says the version is: `level` or `version` is given.

    `exact`: rather refuse than raise it.
    """

    level: Level | None = None
    version: str | None = None
    exact: bool = False

    def __str__(self) -> str:
        return self.level or self.version or ""


@dataclass(frozen=True, slots=True)
class Bump:
    """Why a version has its number.

    `level` was given, `proven` is what the differences prove by `rule`; `base` is the version it was compared
    with (0: none, then there is no level either). `changes` are the weightiest; `omitted` counts the others,
    which a comparison of both versions shows.
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


@dataclass(frozen=True, slots=True)
class Proven:
    """What the differences prove."""

    level: Level
    rule: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """An exact claim that the proven change, or a number given before, contradicts.

    `proof` holds what proves it.
    """

    reason: str
    proof: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Base:
    """The version a new one is compared with."""

    number: int
    semver: Version
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Taken:
    """The numbers given so far: the highest major, the highest minor of each major, the highest patch of each `major.minor`.

    Patches only rise: one below the highest counts as taken even where a claim left a gap (an index of
    100,000 numbers would cost more).
    """

    major: int
    minors: Mapping[int, int]
    patches: Mapping[str, int]

    def __contains__(self, v: Version) -> bool:
        highest = self.patches.get(f"{v.major}.{v.minor}", -1)
        return bool(v.patch <= highest)

    def next(self, base: Version, level: Level) -> Version:
        """The base's next number of that level, or, when it is taken, the one after the highest of that level."""
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
    """The highest level any difference proves, with the rule that fired."""
    weighed = tuple(_weighed(c, _level(kind, c, policy)) for c in differences(old, new, policy.noise))
    counting = [c for c in weighed if c.level is not None]
    if not counting:
        return Proven("patch", "metadata.changed", weighed)
    decisive = max(counting, key=lambda c: LEVELS.index(c.level or "patch"))
    return Proven(decisive.level or "patch", _rule(kind, decisive), weighed)


def _weighed(c: Change, level: Level | None) -> Change:
    return (
        c if level is None else Change(c.part, c.path, c.what, c.before, c.after, c.detail, c.breaking, level)
    )


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
    return abs(after - before) >= threshold * abs(before) - 1e-12


def _rule(kind: str, change: Change) -> str:
    if change.part == "artifact":
        return f"{kind}.retrained"
    return f"{change.part}.{change.what.replace(' ', '_')}"


def numbered(
    kind: str,
    base: Base | None,
    new: Metadata,
    claim: Claim,
    taken: Taken,
    policy: BumpPolicy = DEFAULT,
) -> tuple[Version, Bump] | ClaimRefused:
    """The new version's number and why.

    A claim smaller than the proof is raised and noted, a larger one kept and noted.
    """
    if base is None:
        version = Version.parse(claim.version) if claim.version else FIRST
        return version, Bump(None, "first", claimed=str(claim))
    proof = proven(kind, base.metadata, new, policy)
    level, kept, note = proof.level, None, ""
    if claim.level or claim.version:
        claimed = Version.parse(claim.version) if claim.version else None
        if _too_small(claim, claimed, base.semver, proof.level):
            reason = f"{claim} is smaller than the proven change, which is {proof.level} ({proof.rule}) against {base.semver}"
            if claim.exact:
                return ClaimRefused(
                    reason + ": claim at least that, or leave the claim out", told(proof.changes)[0]
                )
            note = reason + ": raised"
        else:
            level = _level_of(claimed, base.semver) if claimed else claim.level or level
            kept = claimed
            if LEVELS.index(level) > LEVELS.index(proof.level):
                note = f"{claim} is larger than the proven change, which is {proof.level} ({proof.rule}): kept as claimed"
    if kept is not None and kept in taken:
        if claim.exact:
            return ClaimRefused(
                f"{kept} is taken: claim a number that is free, or leave the claim out",
                told(proof.changes)[0],
            )
        kept, note = None, f"{kept} is taken: the next free number of that level"
    version = kept or taken.next(base.semver, level)
    return version, Bump(
        level, proof.rule, base.number, str(base.semver), str(claim), note, proof.level, *told(proof.changes)
    )


def told(changes: Sequence[Change]) -> tuple[tuple[Change, ...], int]:
    """What an event tells of differences (in a wide model there are thousands), and how many more there are.

    Highest levels first.
    """
    weightiest = sorted(changes, key=lambda c: -LEVELS.index(c.level) if c.level else 1)
    return tuple(map(_brief, weightiest[:MOST_TOLD])), max(0, len(changes) - MOST_TOLD)


def _brief(change: Change) -> Change:
    path = change.path if len(change.path) <= LONGEST_TOLD else change.path[:LONGEST_TOLD] + "…"
    before, after = _short(change.before), _short(change.after)
    if path is change.path and before is change.before and after is change.after:
        return change
    return replace(change, path=path, before=before, after=after)


def _short(value: Any) -> Any:
    """The value, or how to recognise it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    encoded = encode(value)
    return (
        value
        if len(encoded) <= LONGEST_TOLD
        else f"sha256:{hashlib.sha256(encoded).hexdigest()[:12]}… ({len(encoded)} bytes)"
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
