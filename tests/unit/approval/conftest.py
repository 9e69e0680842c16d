"""Given/when/then over several streams: events fold into states, commands are decided on the states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from services.approval.domain import (
    approving,
    override,
    policy,
    policy_publication,
    promotion,
    review,
    version_gates,
)
from services.approval.domain.deciders import FOLDS as ALL_FOLDS
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import Policy, PublishPolicy
from services.approval.domain.review_events import Adoption
from shared.deciding.access import ACCESS, AccessState, IdentityCreated
from shared.deciding.appointments import everyone_behind
from shared.deciding.decider import Streams
from shared.deciding.events import Noted, Source
from shared.deciding.links import IdentityLinked, IdentityUnlinked, subject_of_login
from shared.deciding.person import ErasedName, Person, digest_of, folded_name

FOLDS = {fold.category: fold for fold in (*ALL_FOLDS, ACCESS)}
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DATA = "sha256:" + "d" * 64


def accuracy(value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "name": "accuracy",
        "value": value,
        "dataset_digest": DATA,
        "dataset_name": "holdout",
        "primary": True,
        **more,
    }


def signature(*inputs: str) -> dict[str, Any]:
    return {
        "inputs": [{"name": i, "type": "float32"} for i in inputs or ("x",)],
        "outputs": [{"name": "label", "type": "int64", "labels": ["a", "b"]}],
    }


def version(number: int = 1, value: float | None = 0.9, **more: Any) -> dict[str, Any]:
    return {
        "model_id": "m",
        "model": "team.churn",
        "kind": "model",
        "tier": "medium",
        "tags": {},
        "owner": "olga",
        "number": number,
        "semver": f"{number}.0.0",
        "creator": "carl",
        "on_behalf_of": "bea",
        "requester_subject": "pipeline",
        "artifact": {"digest": f"sha256:artifact{number}", "files": [], "location": "s3://x"},
        "training": {
            "config": {"depth": 3},
            "code": {"digest": "sha256:c"},
            "dataset": {"name": "train", "digest": "sha256:t"},
            "metrics": [accuracy(value)],
            "trained_at": "2026-11-01T00:00:00Z",
            "creator": "carl",
        },
        "signature": signature(),
        "bump": {"level": "minor"},
        "champion": None,
    } | more


def champion(number: int, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "semver": f"{number}.0.0",
        "artifact_digest": f"sha256:artifact{number}",
        "signature": signature(),
        "evaluations": [accuracy(value)],
    } | more


class World:
    """All streams of approval, in memory, folded by the real deciders."""

    def __init__(self) -> None:
        self.states: dict[str, Any] = {}
        self.events: list[tuple[str, Any]] = []
        self.now = NOW
        self.people: dict[str, Person] = {}
        self._revisions: dict[str, int] = {}
        self._version_stream = "model-m"

    def state(self, stream: str) -> Any:
        return self.states.get(stream, FOLDS[stream.partition("-")[0]].initial)

    @property
    def version(self) -> version_gates.VersionGates:
        state: version_gates.VersionGates = self.state("gate-m@1")
        return state

    def review(self, promotion_id: str = "p") -> review.ReviewState:
        state: review.ReviewState = self.state(f"review-{promotion_id}")
        return state

    def append(self, decided: Mapping[str, Sequence[Any]]) -> list[Any]:
        new = []
        for stream, events in decided.items():
            for event in events:
                self.states[stream] = FOLDS[stream.partition("-")[0]].evolve(self.state(stream), event)
                self.events.append((stream, event))
                new.append(event)
        return new

    def of(self, kind: type) -> list[Any]:
        return [e for _, e in self.events if isinstance(e, kind)]

    def publish(self, name: str, policy_: Policy, **more: Any) -> list[Any]:
        stream = policy.stream_of(name)
        others = [policy.stream_of(other) for other in self.state(policy.ALL).names]
        streams = Streams({name: self.state(name) for name in (stream, policy.ALL, *others)})
        command = PublishPolicy(name, policy_, **{"by": "root", **more})
        return self.append(policy_publication.publish(command, streams))

    def confirm(self, name: str, by: str, revision: int | None = None, **names: tuple[str, ...]) -> list[Any]:
        """`names`: printed names by subject."""
        stream = policy.stream_of(name)
        proposal = self.state(stream).proposal
        at = revision or (proposal.revision if proposal else 0)
        proposer = proposal.by if proposal else ""
        command = policy.ConfirmPolicy(
            name, at, Person(by, names.get(by, ())), Person(proposer, names.get(proposer, ()))
        )
        streams = self.with_people(Streams({stream: self.state(stream)}), by, proposer)
        return self.append(policy_publication.confirm(command, streams))

    def gates(
        self,
        validated: Sequence[Gate] = (),
        production: Sequence[Gate] = (),
        name: str = "default",
        **more: Any,
    ) -> list[Any]:
        """Without a manual gate the policy states that no person approves."""
        people = any(g.kind == "manual" for g in production)
        stated = {} if people else {"unreviewed": True, "unreviewed_reason": "tests"}
        stages = {"Validated": tuple(validated), "Production": tuple(production)}
        return self.publish(name, Policy(stages, **{**stated, **more}))

    def identity(self, subject: str, *events: Any, kind: str = "person") -> None:
        """An identity, and what others did for it."""
        self.append({f"access-{subject}": [IdentityCreated(subject, kind, "system:bootstrap"), *events]})

    def named(self, subject: str, *names: str, erased: tuple[str, ...] = ()) -> None:
        """The directory: printed names now and before, and names that were erased."""
        salt = subject.encode()
        digests = tuple(ErasedName(salt, digest_of(salt, folded_name(name))) for name in erased)
        self.people[subject] = Person(subject, names, digests)

    def people_for(self, *subjects: str) -> dict[str, Person]:
        """All by which these and those who appointed them are recognised, as the edges look it up."""
        for subject in subjects:
            if f"access-{subject}" not in self.states:
                self.identity(subject)
        return {name: self.people.get(name, Person(name)) for name in self.behind(*subjects)}

    def behind(self, *subjects: str) -> set[str]:
        """These, and everyone who appointed them, each with all identities of that person."""
        return {one for subject in subjects for one in everyone_behind(subject, self.identity_of)}

    def identity_of(self, subject: str) -> AccessState:
        state: AccessState = self.state(f"access-{subject}")
        return state

    def link(self, subject: str, other: str, *, login: bool = False, end: bool = False) -> None:
        """Two identities, or an identity and a login, count as one person; with `end`, as two again."""
        event, far = IdentityUnlinked if end else IdentityLinked, subject_of_login(other) if login else other
        self.append({f"access-{subject}": [event(subject, other, "root", login)]})
        self.append({f"access-{far}": [event(far, subject, "root")]})

    def with_people(self, streams: Streams, *subjects: str) -> Streams:
        """The streams with those of the identities. Who has none yet is a person."""
        for subject in subjects:
            if f"access-{subject}" not in self.states:
                self.identity(subject)
        access = {f"access-{one}": self.state(f"access-{one}") for one in self.behind(*subjects)}
        return Streams({**streams.states, "gate-m": self.state("gate-m"), **access})

    def noted(self, type_: str, data: dict[str, Any], stream: str = "model-m", revision: int = 0) -> Noted:
        if not revision:
            revision = self._revisions[stream] = self._revisions.get(stream, 0) + 1
        service = "artifact" if stream.startswith("artifact") else "registry"
        return Noted(
            Source(service, stream, revision, f"regista.{service}.{type_}.v1", f"{stream}/{revision}"),
            f"leaf{revision}",
            data,
        )

    def note_model(self, type_: str, data: dict[str, Any], **more: Any) -> list[Any]:
        return self.append(
            {
                "gate-m": version_gates.decide(
                    version_gates.NoteModel(self.noted(type_, {"model_id": "m", **data}, **more)),
                    self.state("gate-m"),
                )
            }
        )

    def note(self, type_: str, data: dict[str, Any] | None = None, number: int = 1, **more: Any) -> list[Any]:
        stream = version_gates.stream_of("m", number)
        event = self.noted(type_, {"model_id": "m", "number": number, **(data or {})}, **more)
        return self.append(
            {stream: version_gates.decide(version_gates.NoteVersion(event), self.state(stream))}
        )

    def artifact(self, type_: str = "ArtifactReleased", number: int = 1, **more: Any) -> list[Any]:
        return self.note(
            type_, {"digest": f"sha256:artifact{number}"}, number, stream=f"artifact-{number}", **more
        )

    def registered(self, value: float | None = 0.9, number: int = 1, **more: Any) -> list[Any]:
        return self.note("VersionRegistered", version(number, value, **more), number)

    def request(self, promotion_id: str = "p", number: int = 1, **more: Any) -> list[Any]:
        asked = {
            "promotion_id": promotion_id,
            "environment": "production",
            "digest": "sha256:asked",
            "requester": "rosa",
        } | more
        return self.note("PromotionRequested", asked, number)

    def streams(self, number: int = 1, *promotion_ids: str) -> Streams:
        """The streams as the edges look them up: with the promotions that are open or have an open review."""
        noted = self.state(version_gates.stream_of("m", number)).promotions.values()
        ids = {p.id for p in noted if "open" in {p.status, self.review(p.id).status}} | set(promotion_ids)
        named = promotion.streams_of("m", number, ids, self.state(policy.ALL).names)
        return Streams({stream: self.state(stream) for stream in (*named.writes, *named.depends_on)})

    def assess(self, number: int = 1) -> list[Any]:
        return self.append(
            promotion.assess_gates(promotion.AssessGates("m", number, self.now), self.streams(number))
        )

    def approve(self, by: str, promotion_id: str = "p", **more: Any) -> list[Any]:
        """`expected`: without it, the revision of the review now."""
        seen = {"role": "approver", "expected": self.review(promotion_id).revision} | more
        review_ = self.review(promotion_id)
        if "name" in seen:
            self.people.setdefault(by, Person(by, (seen["name"],)))
        deciders = (by, *review_.approvals)
        people = seen.pop("people", self.people_for(*deciders) | self.people_for(*review_.excluded))
        command = approving.Approve(promotion_id, "m", 1, by, now=self.now, people=people, **seen)
        streams = self.with_people(self.streams(1, promotion_id), *deciders)
        return self.append(approving.approve(command, streams))

    def reject(self, by: str, reason: str = "no", role: str = "approver", **more: Any) -> list[Any]:
        return self.append(
            approving.reject(approving.Reject("p", "m", 1, by, role, reason, **more), self.streams(1, "p"))
        )

    def expire(self) -> list[Any]:
        return self.append(approving.expire(approving.Expire("p", "m", 1, self.now), self.streams(1, "p")))

    def override(
        self,
        by: str,
        reason: str = "outage",
        promotion_id: str = "p",
        adopts: Adoption | None = None,
    ) -> list[Any]:
        makers = self.version.version.makers if self.version.version else ()
        people = self.people_for(by, *makers)
        command = override.Override(
            promotion_id, "m", 1, by, reason, people=people, now=self.now, adopts=adopts
        )
        return self.append(override.override(command, self.with_people(self.streams(1, promotion_id), by)))

    def after_review(
        self, by: str, *, justified: bool = True, names: tuple[str, ...] = (), comment: str = ""
    ) -> list[Any]:
        if names:
            self.named(by, *names)
        state = self.review()
        people = self.people_for(by) | self.people_for(*state.excluded, *state.overridden_by)
        command = review.ReviewOverride("p", "m", 1, by, justified, comment, people)
        return self.append(override.review_override(command, self.with_people(self.streams(1, "p"), by)))

    def pass_time(self, **delta: int) -> None:
        self.now += timedelta(**delta)

    def validated(self, production: Sequence[Gate], **version_: Any) -> World:
        """A verified version that is Validated, under a policy with these gates for Production."""
        self.gates([Gate("artifact_verified", {})], production)
        self.registered(**version_)
        self.artifact()
        self.assess()
        self.note("VersionValidated")
        return self

    def in_review(
        self, approvers: int = 2, asked: Mapping[str, Any] = MappingProxyType({}), **version_: Any
    ) -> World:
        """A verified, Validated version in review; `asked`: further fields of the request."""
        self.validated(
            [Gate("no_regression", {}), Gate("manual", {"approvers": approvers, "expires_in": "7d"})],
            **version_,
        )
        self.request(**asked)
        self.assess()
        return self


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    """For properties, which need a fresh one for each example."""
    return World


@pytest.fixture(scope="session")
def given() -> Any:
    """The public data of the tests."""
    return type(
        "Given",
        (),
        {
            "version": staticmethod(version),
            "champion": staticmethod(champion),
            "accuracy": staticmethod(accuracy),
            "signature": staticmethod(signature),
            "replace": staticmethod(replace),
        },
    )
