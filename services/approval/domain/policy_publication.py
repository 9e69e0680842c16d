"""Publish policies. What weakens them needs a second admin, where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from regista.wire.policies import STAGES, Subject, approvers, requires_less, select
from services.approval.domain.independence import check_human, check_keys, identity
from services.approval.domain.policy import (
    ALL,
    POLICIES,
    POLICY,
    ConfirmPolicy,
    Policy,
    PolicyListed,
    PolicyProposed,
    PolicyPublished,
    ProposalWithdrawn,
    PublishPolicy,
    Selector,
    in_force,
    stream_of,
)
from services.approval.domain.policy_checks import checked
from shared.deciding.decider import Joint, NotFound, RuleBroken, Stale, Streams, Unprocessable
from shared.deciding.one_person import one_person

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
Policies = Mapping[str, Policy]


def publish(command: PublishPolicy, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the policy's next revision, and its name for the list where it is new.

    Returns no events when the policy is the same as the published one, and a proposal when it is weaker and
    there is a second admin.
    """
    stream = stream_of(command.name)
    state = streams.state(POLICY, stream)
    if command.builtin and state.revision:
        return {}
    check_name(command.name)
    digest = checked(command.policy)
    if digest == state.digest:
        return {stream: [ProposalWithdrawn(command.name)] if state.proposal else []}
    if command.expected is not None and command.expected != state.published:
        raise Stale(
            "stale_policy",
            f"policy {command.name} is at revision {state.published}; read it again, then repeat",
            revision=state.published,
        )
    found = () if command.builtin else weakened(command, streams)
    if found and command.other_admins:
        if state.proposal and (state.proposal.digest, state.proposal.by) == (digest, command.by):
            return {}
        proposed = PolicyProposed(command.name, command.policy, digest, found, command.by)
        return {stream: [proposed], ALL: _listed(command.name, streams)}
    published = PolicyPublished(command.name, command.policy, digest, found)
    return {stream: [published], ALL: _listed(command.name, streams)}


def check_name(name: str) -> None:
    """Raise Unprocessable for what cannot be a policy's name."""
    if not _NAME.fullmatch(name):
        raise Unprocessable(
            "bad_name",
            "a policy's name has up to 100 of a-z, A-Z, 0-9, - and _, the first no - or _; choose another",
        )


def confirm(command: ConfirmPolicy, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the proposed revision.

    A person confirms it, who is neither its proposer nor has a key in common with the proposer.
    """
    stream = stream_of(command.name)
    state = streams.state(POLICY, stream)
    proposal = state.proposal
    if proposal is None:
        raise NotFound("no_proposal", f"no revision of policy {command.name} waits for a second admin")
    if proposal.revision != command.revision:
        raise Stale(
            "stale_policy",
            f"the proposal is at revision {proposal.revision}; read it again, then repeat",
            revision=proposal.revision,
        )
    own = one_person(command.by.subject, partial(identity, streams=streams))
    if command.by.is_same(command.proposer) or proposal.by in own:
        raise RuleBroken(
            "own_work", f"{command.by.subject} proposed this revision; ask another admin to confirm it"
        )
    check_human(command.by.subject, streams, "confirm a policy")
    check_keys(command.by.subject, proposal.by, streams, "admin")
    published = PolicyPublished(command.name, proposal.policy, proposal.digest, proposal.weaker, proposal.by)
    return {stream: [published]}


def _listed(name: str, streams: Streams) -> list[PolicyListed]:
    return [] if name in streams.state(POLICIES, ALL).names else [PolicyListed(name)]


def weakened(command: PublishPolicy, streams: Streams) -> tuple[str, ...]:
    """Return how the policies would require less than before, for models that exist or may exist."""
    before = {state.name: state.policy for state in in_force(streams) if state.policy}
    return weaker_for(command.name, before, command.policy, command.subjects)


def weaker_for(name: str, before: Policies, policy: Policy, subjects: Iterable[Subject]) -> tuple[str, ...]:
    """Return how publishing `policy` under this name makes the policies require less."""
    after = {**before, name: policy}
    described = {_key(s): s for s in (*subjects, *_examples(name, before, after))}
    found = [sentence for s in described.values() for sentence in changes(before, after, s)]
    return tuple(dict.fromkeys(found))


def changes(before: Policies, after: Policies, subject: Subject) -> list[str]:
    """Return, by stage, how the policies that apply to such a model get weaker."""
    found = []
    for stage in STAGES:
        was, now = (select(sorted(policies.items()), subject, stage) for policies in (before, after))
        less = requires_less(was and was[1], now and now[1], stage, (subject.tier, subject.tier))
        if less:
            old, new = (f"{p[0]} ({_people(p[1], stage)})" if p else "no policy" for p in (was, now))
            found.append(f"{stage} of {_described(subject)}: {old} → {new}: {'; '.join(less)}")
    return found


def _people(policy: Policy, stage: str) -> str:
    people = approvers(policy.stages[stage])
    return f"{people} approver{'s' if people != 1 else ''}" if people else "no approver"


def _described(subject: Subject) -> str:
    tags = "".join(f" {key}={value}" for key, value in sorted(subject.tags.items()))
    where = f" in {subject.namespace}" if subject.namespace else ""
    to = f" for {subject.environment}" if subject.environment else ""
    return f"{subject.kind}s of tier {subject.tier}{where}{tags}{to}"


def _key(subject: Subject) -> tuple[Any, ...]:
    tags = tuple(sorted(subject.tags.items()))
    return subject.namespace, subject.kind, subject.tier, tags, subject.environment


def _examples(name: str, before: Policies, after: Policies) -> Iterator[Subject]:
    """Yield models that the old or the new revision selects, together with each other policy or alone."""
    mine = [policies[name].applies_to for policies in (before, after) if name in policies]
    for own, other in product(mine, [Selector(), *(p.applies_to for n, p in before.items() if n != name)]):
        tags = {**own.tags, **other.tags}
        for namespace, kind, tier, environment in product(
            sorted({*own.namespaces, *other.namespaces} or {""}),
            sorted({*own.kinds, *other.kinds} or {"model"}),
            sorted({*own.tiers, *other.tiers} or {"low", "medium", "high"}),
            sorted({"", *own.environments, *other.environments}),
        ):
            yield Subject(namespace, kind, tier, tags, environment)


DECIDERS: Mapping[type, Joint[Any]] = {PublishPolicy: Joint(publish), ConfirmPolicy: Joint(confirm)}
