"""Decide which jobs act as a publisher, and issue the keys of one job for its token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from regista.wire.ed25519 import problem_of_public_key
from regista.wire.names import may_exist
from services.registry.access.domain.identities import existing
from services.registry.access.domain.issuers import check_issuer_url
from shared.deciding.access import (
    EVERYWHERE,
    LONGEST_JOB_KEY,
    AccessEvent,
    AccessState,
    KeyIssued,
    permits,
)
from shared.deciding.acting import JOBS_ROLE
from shared.deciding.decider import NO_TIME, Forbidden, NotFound, RuleBroken, Unprocessable
from shared.deciding.issuers import ALGORITHMS
from shared.deciding.trusts import Claim, Job, Trust, TrustAdded, TrustRemoved

NAMES_ONE_PROJECT = ("repository", "repository_id", "project_path", "project_id", "sub")
"""Claims of which a trust names one, exactly: every other one is true of projects of other people, too."""
OF_EVERY_TOKEN = frozenset({"iss", "aud", "exp", "iat", "nbf", "jti"})
MOST_CLAIMS = 10
MOST_TRUSTS = 50
"""Trusts of one publisher."""
MOST_NAMESPACES = 20
MOST_JOB_KEYS = 2_000
"""Live keys of the jobs of one publisher."""
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,100}", re.ASCII)
_VALUE = re.compile(r"[^\x00-\x1f\x7f]{1,300}")
_BEFORE_THE_PATTERN = re.compile(r"[^*]*[^*/]/\*")


@dataclass(frozen=True, slots=True)
class AddTrust:
    """Let jobs with these claims act as the publisher. The fields are those of TrustAdded."""

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
class RemoveTrust:
    subject: str
    trust_id: str
    by: str


@dataclass(frozen=True, slots=True)
class ExchangeToken:
    """Issue the keys of a job for its verified token, which fitted the trust when it was looked up.

    `shown` are the claims that were compared, whatever they are; `token_ends` is when the token ends.
    `verifier` is that of the API key; `public_key`, "" without one, is that of a signing key that the job
    made.
    """

    subject: str
    trust_id: str
    shown: dict[str, object]
    job: Job
    token_ends: datetime
    key_id: str
    verifier: str
    signing_key_id: str = ""
    public_key: str = ""
    now: datetime = NO_TIME


OfTrust = AddTrust | RemoveTrust | ExchangeToken


def decide_trust(command: OfTrust, state: AccessState) -> Sequence[AccessEvent]:
    """Return the events that `command` leads to in the stream of one publisher."""
    match command:
        case AddTrust():
            return _add(command, existing(command.subject, state))
        case RemoveTrust():
            if command.trust_id not in existing(command.subject, state).trusts:
                return []
            return [TrustRemoved(command.subject, command.trust_id, command.by)]
        case ExchangeToken():
            return _exchange(command, state)
        case _:
            assert_never(command)


def same_trust(command: AddTrust, state: AccessState) -> Trust | None:
    """Return the trust of the publisher with the same terms, or None."""
    wanted = _asked(command)
    return next((one for _, one in sorted(state.trusts.items()) if _asked(one) == wanted), None)


def _asked(one: AddTrust | Trust) -> tuple[object, ...]:
    claims, namespaces = frozenset(one.claims), frozenset(one.namespaces)
    return one.issuer, one.audience, frozenset(one.algorithms), claims, one.starter_claim, namespaces


def _add(command: AddTrust, state: AccessState) -> Sequence[AccessEvent]:
    if state.kind != "publisher":
        raise RuleBroken(
            "no_publisher",
            f"{command.subject} is a {state.kind}, and jobs act as publishers: create one for them.",
        )
    check_issuer_url(command.issuer)
    _check_settings(command)
    _check_claims(command.claims)
    _check_namespaces(command, state)
    if same_trust(command, state) is not None:
        return []
    if len(state.trusts) >= MOST_TRUSTS:
        raise RuleBroken(
            "too_many_trusts",
            f"{command.subject} has {MOST_TRUSTS} trusts: remove one, or create another publisher.",
        )
    asked = command.issuer, command.audience, command.algorithms, command.claims, command.starter_claim
    return [TrustAdded(command.subject, command.trust_id, *asked, command.namespaces, command.by)]


def _check_settings(command: AddTrust) -> None:
    if not _VALUE.fullmatch(command.audience) or len(command.audience) > 200:
        raise Unprocessable(
            "invalid_audience", "An audience has 1 to 200 characters and no control character: send another."
        )
    if not command.algorithms or set(command.algorithms) - set(ALGORITHMS):
        raise Unprocessable(
            "invalid_algorithm",
            f"Name the algorithms that the issuer signs with, of these: {', '.join(ALGORITHMS)}.",
        )
    if command.starter_claim and not _NAME.fullmatch(command.starter_claim):
        raise Unprocessable(
            "invalid_claim", f"{command.starter_claim!r:.80} cannot be the name of a claim: send another."
        )


def _check_claims(claims: Sequence[Claim]) -> None:
    """Refuse claims that cannot be met, and a trust that jobs of any project of the issuer could use."""
    if not 0 < len(claims) <= MOST_CLAIMS or len({one.name for one in claims}) < len(claims):
        raise Unprocessable(
            "invalid_claims", f"A trust names 1 to {MOST_CLAIMS} claims, each of them once: correct them."
        )
    for one in claims:
        if not _NAME.fullmatch(one.name) or one.name in OF_EVERY_TOKEN or not _VALUE.fullmatch(one.value):
            raise Unprocessable(
                "invalid_claim",
                f"{one.name!r:.80} is no claim to compare, or its value has no 1 to 300 characters: name "
                "what the issuer states about the job, such as repository, ref or environment.",
            )
        if one.is_pattern and not _BEFORE_THE_PATTERN.fullmatch(one.value):
            raise Unprocessable(
                "invalid_pattern",
                f"{one.name}={one.value:.200}: a '*' stands alone behind the last '/', for one more part "
                "(refs/tags/*): write it there, or the exact value.",
            )
    if not any(one.name in NAMES_ONE_PROJECT and not one.is_pattern for one in claims):
        raise Unprocessable(
            "any_project",
            "Every project of the issuer could use this trust: name the exact value of one of the claims "
            f"{', '.join(NAMES_ONE_PROJECT)}, too.",
        )


def _check_namespaces(command: AddTrust, state: AccessState) -> None:
    if not 0 < len(command.namespaces) <= MOST_NAMESPACES:
        raise Unprocessable(
            "invalid_namespace", f"A trust is for 1 to {MOST_NAMESPACES} namespaces: name them."
        )
    for one in command.namespaces:
        if one != EVERYWHERE and not may_exist(one):
            raise Unprocessable(
                "invalid_namespace",
                f"{one!r:.80} is no namespace: use a dotted name, or '{EVERYWHERE}' for everywhere.",
            )
        if not permits(state, JOBS_ROLE, one):
            raise RuleBroken(
                "namespace_not_covered",
                f"{command.subject} has no role {JOBS_ROLE} in {one}, so its jobs cannot have it either: "
                "grant it first.",
                namespace=one,
            )


def _exchange(command: ExchangeToken, state: AccessState) -> Sequence[AccessEvent]:
    trust = state.trusts.get(command.trust_id)
    if trust is None or not trust.fits(command.shown):
        raise Forbidden("trust_ended", "The trust for this job was removed a moment ago: ask an admin.")
    if state.disabled:
        raise Forbidden(
            "identity_disabled",
            f"{command.subject} is disabled: an admin must enable it again.",
            subject=command.subject,
        )
    if not any(permits(state, JOBS_ROLE, one) for one in trust.namespaces):
        raise Forbidden(
            "namespace_not_covered",
            f"{command.subject} has the role {JOBS_ROLE} in none of the namespaces of the trust any more: an "
            "admin must grant it.",
            subject=command.subject,
        )
    if sum(bool(key.trust) and key.live(command.now) for key in state.keys.values()) >= MOST_JOB_KEYS:
        raise RuleBroken(
            "too_many_job_keys", f"Jobs of {command.subject} have {MOST_JOB_KEYS} live keys: repeat it later."
        )
    ends = min(command.token_ends, command.now + LONGEST_JOB_KEY)
    if ends <= command.now:
        raise Unprocessable("token_expired", "The token of the job has expired: get another one.")
    who, job = command.subject, command.job
    events = [KeyIssued(who, command.key_id, "hmac-sha256", command.verifier, ends, who, job)]
    if command.public_key:
        _check_public_key(command.public_key)
        events.append(KeyIssued(who, command.signing_key_id, "ed25519", command.public_key, ends, who, job))
    return events


def _check_public_key(key: str) -> None:
    if problem := problem_of_public_key(bytes.fromhex(key)):
        raise Unprocessable(
            "invalid_key", f"This is no public key of Ed25519: {problem}. Generate another key."
        )


def existing_trust(state: AccessState, trust_id: str) -> Trust:
    """Return a trust of a publisher. Raise NotFound when it has none of this id."""
    found = state.trusts.get(trust_id)
    if found is None:
        raise unknown_trust(trust_id)
    return found


def unknown_trust(trust_id: str) -> NotFound:
    """Return the error about a trust that no publisher has."""
    return NotFound(
        "unknown_trust",
        f"There is no trust {trust_id!r:.80}: choose one of the list.",
        listed_at="/v1/trusts",
    )
