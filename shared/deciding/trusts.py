"""Decide whose jobs act as a publisher: trusts, what they ask of a token, and the keys that jobs get. Pure.

A trust is part of its publisher's stream. So one stream has what a job may do, and every end of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from immutables import Map

KEPT = timedelta(days=7)
"""How long the key of a job stays in the state after its end: its messages may wait in Kafka meanwhile."""
ONE_PART = "*"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim of the token has to be: exactly `value`, or one more part where `value` ends in `/*`.

    `refs/tags/*` stands for `refs/tags/v1`, not for `refs/tags/`, `refs/tags/a/b` or `refs/tags`.
    """

    name: str
    value: str

    @property
    def is_pattern(self) -> bool:
        return ONE_PART in self.value

    def is_met(self, given: object) -> bool:
        """Return whether the claim of a token is as it has to be. Only a text can be."""
        if not isinstance(given, str):
            return False
        if not self.is_pattern:
            return given == self.value
        before = self.value.removesuffix(ONE_PART)
        return given.startswith(before) and len(given) > len(before) and "/" not in given[len(before) :]


@dataclass(frozen=True, slots=True)
class TrustAdded:
    """Jobs whose token an issuer signed, with these claims, act as the publisher `subject` from now on.

    A job gets keys that have the role publisher in `namespaces`, as far as the publisher itself has it there.
    `starter_claim` names the person who started the job; "" stands for the claims that are known for it.
    `by` is the subject who decided, here and below.
    """

    subject: str
    trust_id: str
    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    claims: tuple[Claim, ...]
    starter_claim: str
    namespaces: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class TrustRemoved:
    """No job gets a key by this trust any more, and every key that one got by it has ended."""

    subject: str
    trust_id: str
    by: str


TrustEvent = TrustAdded | TrustRemoved


@dataclass(frozen=True, slots=True)
class Job:
    """The job that a key was issued to: by which trust, who started it, and what its token stated.

    `started_by` is the subject of an identity, or the claim as it was where the directory has no one of that
    name. `claims` are texts that identify the job: workflow, commit, run.
    """

    trust_id: str
    started_by: str = ""
    claims: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trust:
    """A trust that has not been removed."""

    trust_id: str
    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    claims: tuple[Claim, ...]
    starter_claim: str
    namespaces: tuple[str, ...]
    by: str

    def fits(self, claims: Mapping[str, object]) -> bool:
        """Return whether a verified token of the issuer has every claim as the trust has it."""
        return bool(self.claims) and all(one.is_met(claims.get(one.name)) for one in self.claims)


NO_TRUSTS: Map[str, Trust] = Map()


def evolve_trusts(trusts: Map[str, Trust], event: TrustEvent) -> Map[str, Trust]:
    """Fold an event about the trusts of one publisher."""
    match event:
        case TrustAdded() as x:
            asked = x.issuer, x.audience, x.algorithms, x.claims, x.starter_claim, x.namespaces
            return trusts.set(x.trust_id, Trust(x.trust_id, *asked, x.by))
        case TrustRemoved() as x:
            return trusts.delete(x.trust_id) if x.trust_id in trusts else trusts


def within(namespaces: Iterable[str], outer: str, everywhere: str) -> Iterable[str]:
    """Yield where a role in `outer` counts for a key that is bound to these namespaces."""
    for one in namespaces:
        if outer in {everywhere, one} or one.startswith(outer + "."):
            yield one
        elif one == everywhere or outer.startswith(one + "."):
            yield outer


def is_long_over(ended: datetime | None, newest_end: datetime | None, longest: timedelta) -> bool:
    """Return whether a job's key ended so long ago that nothing it signed can wait any more.

    `newest_end` is the end of a key that was just issued, `longest` from now at most.
    """
    return ended is not None and newest_end is not None and ended < newest_end - longest - KEPT
