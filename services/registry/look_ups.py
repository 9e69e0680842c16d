"""From what was told to a command: names become ids, references numbers.

HTTP and Kafka both come through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg

from services.registry.domain.model.state import stream_of
from services.registry.domain.naming.name import check_name, is_model_id
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.registration.metadata import Metadata, Training
from services.registry.domain.registration.registration import AddMetadata, RegisterVersion
from services.registry.inbound import Told
from services.registry.queries import FIND_NAMES, FIND_NUMBER
from shared.deciding.access import ANY_ROLE, namespace_of
from shared.deciding.decider import NotFound
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Permission, Submission, new_id
from shared.http.batcher import Batcher

CACHED = 100_000


@dataclass(frozen=True, slots=True)
class Place:
    """A model: its id, and the namespace in which roles on it are granted. Neither ever changes."""

    model_id: str
    namespace: str


class Models:
    """Models by name or id, cached for ever: a name never leaves its model, a model never leaves its namespace."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._known: dict[str, Place] = {}
        self._batcher: Batcher[str, Place] = Batcher(self._fetch)

    async def find(self, reference: str) -> Place | None:
        """The model of this name or id, if there is one."""
        place = self._known.get(reference) or await self._batcher.get(reference)
        if place is not None:
            if len(self._known) >= CACHED:
                self._known.clear()
            self._known[reference] = place
        return place

    async def get(self, reference: str) -> Place:
        """Raises NotFound."""
        place = await self.find(reference)
        if place is None:
            raise NotFound(
                "unknown_model",
                f"There is no model {reference!r:.210}: check the name, or register a version of it.",
            )
        return place

    async def _fetch(self, references: Sequence[str]) -> Mapping[str, Place]:
        rows = await self._pool.fetch(FIND_NAMES, list(references))
        return {row["reference"]: Place(row["model_id"], row["namespace"]) for row in rows}


class Intake:
    """Builds submissions; looks up what they name."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.models = Models(pool)

    async def registration(
        self, model: str, told: Told, cause: Cause, actor: Actor, creator: str = ""
    ) -> Submission:
        """A version of a model, or of one that comes into being with it. Raises Unprocessable for what can be no model's name.

        `creator` is who made it where the training does not say.
        """
        place = await self.models.find(model)
        if place is None:
            check_name(model)
        elif is_model_id(model):
            model = ""
        model_id = place.model_id if place else str(new_id(cause, "model"))
        metadata = created_by(await self._metadata(told), creator)
        command = RegisterVersion(
            model_id,
            model,
            metadata,
            new_model=place is None,
            draft=told.draft,
            kind=told.kind,
            owner=told.owner or actor.subject,
            tier=told.tier,
            description=told.description or "",
            tags=told.tags or {},
            claim=told.claim,
            base=await self._base(place, told.base),
            by=actor.subject,
        )
        own = (stream_of(model_id), name_stream(model)) if place is None else (stream_of(model_id),)
        namespace = place.namespace if place else namespace_of(model)
        return await self._publishing(command, own, metadata, namespace, cause, actor)

    async def completion(
        self,
        place: Place,
        number: int,
        told: Told,
        known: Metadata,
        expected: int | None,
        cause: Cause,
        actor: Actor,
    ) -> Submission:
        """More about a draft. `known` is what the draft says so far."""
        metadata = await self._metadata(told)
        if metadata.training != Training() and not known.training.creator:
            metadata = created_by(metadata, actor.subject)
        command = AddMetadata(
            place.model_id,
            number,
            metadata,
            keep_draft=told.draft,
            expected=expected,
            claim=told.claim,
            base=await self._base(place, told.base),
            by=actor.subject,
        )
        parents = metadata if metadata.parents else known
        return await self._publishing(
            command, (stream_of(place.model_id),), parents, place.namespace, cause, actor
        )

    async def _publishing(
        self,
        command: RegisterVersion | AddMetadata,
        own: Sequence[str],
        metadata: Metadata,
        namespace: str,
        cause: Cause,
        actor: Actor,
    ) -> Submission:
        """Whoever names a parent writes into its model's stream, too: not without any role there."""
        elsewhere = {
            (await self.models.get(p.model_id)).namespace for p in metadata.parents if p.model_id
        } - {namespace}
        return Submission(
            command,
            streams(own, metadata),
            cause,
            actor,
            depends_on=unknown_parents(metadata),
            permission=Permission("publisher", namespace),
            also=tuple(Permission(ANY_ROLE, name) for name in sorted(elsewhere)),
        )

    async def _metadata(self, told: Told) -> Metadata:
        """Parents by their models' ids; a name that nobody has is left without one, and refused with the rest."""
        found = {name: await self.models.find(name) for name in {p.model for p in told.parents or ()}}
        return told.metadata({name: place.model_id for name, place in found.items() if place})

    async def _base(self, place: Place | None, base: int | str | None) -> int | str | None:
        if place is None or not isinstance(base, str):
            return base
        number: int | None = await self._pool.fetchval(FIND_NUMBER, place.model_id, base)
        return number or base


def created_by(metadata: Metadata, creator: str) -> Metadata:
    """With a creator, where none is named."""
    if metadata.training.creator or not creator:
        return metadata
    return replace(metadata, training=replace(metadata.training, creator=creator))


def streams(own: Sequence[str], metadata: Metadata) -> tuple[str, ...]:
    """The streams that registering writes: the model's (first), its name's, and those of the parents."""
    return tuple(dict.fromkeys((*own, *(stream_of(p.model_id) for p in metadata.parents if p.model_id))))


def unknown_parents(metadata: Metadata) -> tuple[str, ...]:
    """The names that parents claim and nobody has: whoever registers one now is waited for."""
    return tuple(dict.fromkeys(name_stream(p.model) for p in metadata.parents if not p.model_id))
