"""Given events, when a command, then events: the registry's decisions without a database."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import msgspec

from services.registry.domain import noted
from services.registry.domain.deciders import DECIDERS
from services.registry.domain.deciders import FOLDS as ALL_FOLDS
from services.registry.domain.model.metadata import (
    Artifact,
    Code,
    Dataset,
    Framework,
    Input,
    Metadata,
    Metric,
    Output,
    Parent,
    Signature,
    Training,
)
from services.registry.domain.model.past import champion_number
from services.registry.domain.model.state import ModelState, VersionState
from services.registry.domain.naming import selection
from services.registry.domain.naming.selection import NotePolicy
from services.registry.domain.promotion.promotion import GrantPromotion, RequestPromotion
from services.registry.domain.registration.commands import RegisterVersion
from services.registry.domain.serving.environment import (
    ENVIRONMENTS,
    EnvironmentCreated,
    EnvironmentRetired,
    Environments,
    evolve,
)
from services.registry.domain.validation.gate_verdicts import NoteArtifact, NoteGates
from services.registry.domain.versioning.bump import Claim
from shared.deciding.decider import Streams, category_of
from shared.deciding.events import Noted, Source

MODEL_ID = "00000000-0000-5000-8000-000000000001"
STREAM = f"model-{MODEL_ID}"
FOLDS = {fold.category: fold for fold in ALL_FOLDS}
DECLARED = reduce(
    evolve,
    [
        EnvironmentCreated("", "production", True, 100, ""),
        EnvironmentCreated("team", "lab", True, 50, "another production environment"),
        EnvironmentCreated("", "staging", False, 20, ""),
        EnvironmentCreated("", "old", True, 10, ""),
        EnvironmentRetired("", "old"),
        EnvironmentCreated("other", "elsewhere", True, 50, ""),
    ],
    Environments(),
)
"""The environments of every story. Only staging is no production environment."""

SIGNATURE = Signature(
    inputs=(Input("age", "double"),), outputs=(Output("label", "string", labels=("no", "yes")),)
)


def a_digest(n: object) -> str:
    return "sha256:" + hashlib.sha256(str(n).encode()).hexdigest()


def metadata(artifact: object = 1, **training: Any) -> Metadata:
    """A complete document; keyword arguments replace parts of `training`."""
    complete = Training(
        config={"depth": 3, "out_dir": "/runs/1"},
        code=Code(digest=a_digest("code"), revision="abc"),
        dataset=Dataset("people", a_digest("data")),
        features=("age",),
        framework=Framework("scikit-learn", "1.7"),
        environment={"python": "3.11"},
        metrics=(Metric("auc", 0.9, a_digest("test"), "test", primary=True),),
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
        creator="ci",
    )
    return Metadata(Artifact(a_digest(artifact), (), "upload:1"), replace(complete, **training), SIGNATURE)


@dataclass
class Story:
    """The streams of the registry, and what happened in them."""

    states: dict[str, Any] = field(default_factory=dict)
    log: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    gate_revision: int = 0

    def state(self, stream: str = STREAM) -> Any:
        initial: Any = DECLARED if stream == ENVIRONMENTS else FOLDS[category_of(stream)].initial
        return self.states.get(stream, initial)

    @property
    def model(self) -> ModelState:
        state: ModelState = self.state()
        return state

    def version(self, number: int) -> VersionState:
        return self.model.versions[number]

    def append(self, event: Any, stream: str = STREAM) -> None:
        self.log[stream].append(event)
        self.states[stream] = FOLDS[category_of(stream)].evolve(self.state(stream), event)

    def when(self, command: Any, *streams: str) -> list[Any]:
        """The events that the command leads to, in the order they are appended; they have happened then."""
        decided = self.decide(command, *streams)
        for stream, events in decided.items():
            for event in events:
                self.append(msgspec.json.decode(msgspec.json.encode(event), type=type(event)), stream)
        return [event for events in decided.values() for event in events]

    def decide(self, command: Any, *streams: str) -> Mapping[str, Sequence[Any]]:
        """The events that the command would lead to, by stream."""
        decider = DECIDERS[type(command)]
        names = {f"model-{command.model_id}", ENVIRONMENTS, selection.STREAM, *streams}
        if getattr(command, "model", None) is not None:
            names.add(f"name-{command.model}")
        seen = Streams({name: self.state(name) for name in names})
        past = {
            (stream, revision): self.log[stream][revision - 1]
            for stream, revision in decider.past_events(command, seen)
        }
        decided = decider.decide(command, replace(seen, past=past))
        assert decided.keys() <= names
        return decided

    def register(self, document: Metadata | None = None, **more: Any) -> int:
        """A version of the model; its number."""
        known = self.model.revision > 0
        parents = [f"model-{p.model_id}" for p in (document or metadata()).parents if p.model_id]
        self.when(
            RegisterVersion(MODEL_ID, "team.churn", document or metadata(), new_model=not known, **more),
            *parents,
        )
        return self.model.newest

    def note_artifact(
        self, number: int, type_: str = noted.ARTIFACT_RELEASED, revision: int = 1, **more: Any
    ) -> list[Any]:
        digest = self.digest_of(number)
        data = {"digest": digest, "model_id": MODEL_ID, "number": number, **more}
        return self.when(NoteArtifact(MODEL_ID, a_note("artifact", "artifact-x", revision, type_, data)))

    def quarantine(self, number: int, revision: int, generation: int = 1) -> list[Any]:
        return self.note_artifact(
            number, noted.ARTIFACT_QUARANTINED, revision, generation=generation, detail="damaged"
        )

    def digest_of(self, number: int) -> str:
        digest: str = self.log[STREAM][self.version(number).document - 1].metadata.artifact.digest
        return digest

    def note_gates(
        self, number: int, passed: bool = True, revision: int = 0, stage: str = "Validated", **more: Any
    ) -> list[Any]:
        self.gate_revision += 1
        data = {
            "model_id": MODEL_ID,
            "number": number,
            "stage": stage,
            "passed": passed,
            "results": [],
            **more,
        }
        return self.when(
            NoteGates(
                MODEL_ID,
                a_note(
                    "approval", f"gate-{number}", revision or self.gate_revision, noted.GATES_EVALUATED, data
                ),
            )
        )

    def validate(self, document: Metadata | None = None, **more: Any) -> int:
        """A registered version with good bytes and passing gates."""
        number = self.register(document, **more)
        self.note_artifact(number)
        self.note_gates(number)
        return number

    def request_promotion(
        self,
        number: int,
        promotion_id: str,
        environment: str = "production",
        requester: str = "eva",
        **more: Any,
    ) -> list[Any]:
        """The requester's names are looked up before, as over HTTP."""
        found = {"selected_by": self.model.selected_by} | more
        return self.when(RequestPromotion(MODEL_ID, number, environment, promotion_id, requester, **found))

    def note_policy(
        self, name: str, approvers: int, revision: int = 1, *gates: dict[str, Any], **policy: Any
    ) -> list[Any]:
        """A policy of approval whose Production needs so many approvers; 0 for no person."""
        people = [{"kind": "manual", "params": {"approvers": approvers}}] if approvers else []
        document = {"stages": {"Production": [*gates, *people]}, "applies_to": {}} | policy
        data = {"name": name, "revision": revision, "digest": "d", "policy": document}
        note = a_note("approval", f"policy-{name}", revision, noted.POLICY_PUBLISHED, data)
        return self.append_all(
            selection.STREAM, selection.decide(NotePolicy(note), self.state(selection.STREAM))
        )

    def append_all(self, stream: str, events: Sequence[Any]) -> list[Any]:
        for event in events:
            self.append(event, stream)
        return list(events)

    def serves(self, environment: str = "production") -> int:
        """The champion there, 0 for none."""
        return champion_number(self.model, environment)

    def grant_promotion(
        self, promotion_id: str, number: int, environment: str = "production", **more: Any
    ) -> list[Any]:
        promotion = self.model.promotions.get(promotion_id)
        data = {
            "promotion_id": promotion_id,
            "model_id": MODEL_ID,
            "number": number,
            "environment": environment,
            "digest": promotion.digest if promotion else "",
            "approvers": ["ann", "bob"],
            **more,
        }
        return self.when(
            GrantPromotion(
                MODEL_ID, a_note("approval", f"review-{promotion_id}", 3, noted.PROMOTION_GRANTED, data)
            )
        )

    def promote(self, document: Metadata | None = None, environment: str = "production", **more: Any) -> int:
        """A version in Production; the first one is requested to serve, and is the champion."""
        number = self.validate(document, **more)
        self.request_promotion(number, f"p{number}", environment, serve=not self.serves(environment))
        self.grant_promotion(f"p{number}", number, environment)
        return number


def a_note(service: str, stream: str, revision: int, type_: str, data: dict[str, Any]) -> Noted:
    return Noted(Source(service, stream, revision, type_, f"{stream}/{revision}"), "ab" * 32, data)


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


__all__ = [
    "MODEL_ID",
    "SIGNATURE",
    "STREAM",
    "Claim",
    "Parent",
    "Story",
    "a_digest",
    "a_note",
    "metadata",
    "names",
]
