"""Look-ups before a command: names become ids, references become numbers. HTTP and Kafka both use them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import asyncpg

from regista.wire.contradictions import is_outside
from services.registry import queries
from services.registry.domain.model.metadata import Metadata, Training
from services.registry.domain.model.state import stream_of
from services.registry.domain.naming.name import check_name, is_model_id
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.naming.selection import STREAM as SELECTION
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from services.registry.domain.serving.environment import ENVIRONMENTS, RetireEnvironment
from services.registry.domain.versioning.bump import DEFAULT, BumpPolicy
from services.registry.serving.queries import USED_BY
from services.registry.trained_message import RegistrationMessage, VersionMessage
from shared.deciding.access import ANY_ROLE, namespace_of
from shared.deciding.decider import NotFound
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Permission, Submission, new_id
from shared.http.batcher import Batcher
from shared.identity import directory

DESCRIPTION = ("owner", "description", "tags")
"""What a registration may state about a model that exists, and what does not count then."""

CACHED = 100_000
"""The number of references that a cache holds."""

CREATOR_KNOWN_FOR = 60.0
"""Seconds in which a creator that was found is not looked up again.

One that was not found is always looked up: the identity may have been created meanwhile.
"""

MayRead = Callable[[str], bool]
"""Whether the caller has any role in a namespace."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model: its id, and the namespace in which roles on it are granted. Neither ever changes."""

    model_id: str
    namespace: str


def unknown_model(reference: str) -> NotFound:
    """Return the same answer for a model that does not exist as for one that the caller may not read."""
    return NotFound(
        "unknown_model",
        f"There is no model {reference!r:.210} that you may read: check the name, register a version of "
        "it, or request a role in its namespace.",
    )


class Models:
    """Models by name or id.

    The cache is never wrong: a name never leaves its model, a model never leaves its namespace. When it is
    full it drops the reference that was used the longest time ago.
    """

    def __init__(self, pool: asyncpg.Pool, capacity: int = CACHED) -> None:
        self._pool = pool
        self._capacity = capacity
        self._cache: OrderedDict[str, ModelRef] = OrderedDict()
        self._batcher: Batcher[str, ModelRef] = Batcher(self._fetch)

    async def find(self, reference: str) -> ModelRef | None:
        """Return the model of this name or id, if there is one."""
        if (cached := self._cache.get(reference)) is not None:
            self._cache.move_to_end(reference)
            return cached
        found = await self._batcher.get(reference)
        if found is not None:
            self._cache[reference] = found
            if len(self._cache) > self._capacity:
                self._cache.popitem(last=False)
        return found

    async def get(self, reference: str) -> ModelRef:
        """Return the model of this name or id. Raise NotFound when there is none."""
        found = await self.find(reference)
        if found is None:
            raise unknown_model(reference)
        return found

    async def _fetch(self, references: Sequence[str]) -> Mapping[str, ModelRef]:
        rows = await self._pool.fetch(queries.FIND_MODELS, list(references))
        return {row["reference"]: ModelRef(row["model_id"], row["namespace"]) for row in rows}


class LookUps:
    """Makes submissions from messages and looks up what they name."""

    def __init__(self, pool: asyncpg.Pool, bump_policy: BumpPolicy = DEFAULT) -> None:
        self._pool = pool
        self._bump_policy = bump_policy
        self.models = Models(pool)
        self._people: Batcher[str, str] = Batcher(partial(directory.subjects_called, pool))
        self._creators: dict[str, float] = {}
        """Creators that were found, with the time until which that holds."""

    async def check_model(self, reference: str, may_read: MayRead) -> None:
        """Raise NotFound for the id of a model that the caller may not read, whether it exists or not."""
        if is_model_id(reference):
            model = await self.models.find(reference)
            if model is None or not may_read(model.namespace):
                raise unknown_model(reference)

    async def check_parents(self, message: VersionMessage, may_read: MayRead) -> None:
        """Raise NotFound for a parent that the caller may not read, whether it exists or not."""
        for name in sorted({p.model for p in message.parents or () if not is_outside(p.model)}):
            await self.check_model(name, may_read)
            if not is_model_id(name) and not may_read(namespace_of(name)):
                raise unknown_model(name)

    async def registration(
        self, name: str, message: RegistrationMessage, cause: Cause, actor: Actor, creator: str = ""
    ) -> Submission:
        """Return the registration of a version of the model `name`. A new model is registered with it.

        `creator` is the creator when the message names none. Raise Unprocessable when `name` cannot be a
        model's.
        """
        model = await self.models.find(name)
        if model is None:
            check_name(name)
        elif is_model_id(name):
            name = ""
        model_id = model.model_id if model else str(new_id(cause, "model"))
        metadata = _with_creator(await self._metadata(message), creator)
        command = RegisterVersion(
            model_id,
            name,
            metadata,
            new_model=model is None,
            draft=message.draft,
            kind=message.kind,
            owner=message.owner or actor.subject,
            tier=message.tier,
            description=message.description or "",
            tags=message.tags or {},
            claim=message.claim,
            base=await self._base(model, message.base),
            by=actor.subject,
            started_by=actor.on_behalf_of or "",
            stated=frozenset(name for name in DESCRIPTION if getattr(message, name) is not None),
            strict=message.strict,
            unknown_creator=await self._is_unknown(metadata.training.creator),
            policy=self._bump_policy,
        )
        own = (stream_of(model_id),) if model else (stream_of(model_id), name_stream(name))
        namespace = model.namespace if model else namespace_of(name)
        selects = (SELECTION,) if model is None or message.tier else ()
        return await self._publishing(command, own, metadata, namespace, cause, actor, selects)

    async def completion(
        self,
        model: ModelRef,
        number: int,
        message: VersionMessage,
        draft: Metadata,
        expected: int | None,
        cause: Cause,
        actor: Actor,
    ) -> Submission:
        """Return the completion of a draft, whose metadata is `draft` so far.

        `expected` is the revision of the version that the caller saw.
        """
        metadata = await self._metadata(message)
        if metadata.training != Training() and not draft.training.creator:
            metadata = _with_creator(metadata, actor.on_behalf_of or actor.subject)
        command = AddMetadata(
            model.model_id,
            number,
            metadata,
            keep_draft=message.draft,
            expected=expected,
            claim=message.claim,
            base=await self._base(model, message.base),
            by=actor.subject,
            started_by=actor.on_behalf_of or "",
            policy=self._bump_policy,
        )
        parents = metadata if metadata.parents else draft
        own = (stream_of(model.model_id),)
        return await self._publishing(command, own, parents, model.namespace, cause, actor)

    async def _publishing(
        self,
        command: RegisterVersion | AddMetadata,
        own: Sequence[str],
        metadata: Metadata,
        namespace: str,
        cause: Cause,
        actor: Actor,
        depends_on: tuple[str, ...] = (),
    ) -> Submission:
        """Return the submission.

        It writes into the streams of the parents' models, so it needs any role there.
        """
        elsewhere = {
            (await self.models.get(p.model_id)).namespace for p in metadata.parents if p.model_id
        } - {namespace}
        return Submission(
            command,
            written_streams(own, metadata),
            cause,
            actor,
            depends_on=(*depends_on, *_names_of_unknown_parents(metadata)),
            permission=Permission("publisher", namespace),
            also=tuple(Permission(ANY_ROLE, name) for name in sorted(elsewhere)),
        )

    async def _metadata(self, message: VersionMessage) -> Metadata:
        """Return the document with the ids of the parents' models.

        An unknown name gets no id, and is refused with all other problems.
        """
        names = {parent.model for parent in message.parents or ()}
        found = {name: await self.models.find(name) for name in names if not is_outside(name)}
        return message.metadata({name: model.model_id for name, model in found.items() if model})

    async def _is_unknown(self, creator: str | None) -> bool:
        """Return whether there is a creator and no identity has this subject or printed name."""
        now = time.monotonic()
        if not creator or self._creators.get(creator, now) > now:
            return False
        if await self._people.get(creator) is None:
            return True
        if len(self._creators) >= CACHED:
            self._creators.clear()
        self._creators[creator] = now + CREATOR_KNOWN_FOR
        return False

    async def _base(self, model: ModelRef | None, base: int | str | None) -> int | str | None:
        """Return the number of a semantic version. The command finds an environment or alias in its state."""
        if model is None or not isinstance(base, str) or not base[0].isdecimal():
            return base
        number: int | None = await self._pool.fetchval(queries.FIND_NUMBER, model.model_id, base)
        return number or base


def _with_creator(metadata: Metadata, creator: str) -> Metadata:
    if metadata.training.creator or not creator:
        return metadata
    return replace(metadata, training=replace(metadata.training, creator=creator))


def written_streams(own: Sequence[str], metadata: Metadata) -> tuple[str, ...]:
    """Return the streams that a registration writes: its own, the model's first, and those of the parents."""
    return tuple(dict.fromkeys((*own, *(stream_of(p.model_id) for p in metadata.parents if p.model_id))))


def _names_of_unknown_parents(metadata: Metadata) -> tuple[str, ...]:
    """Return the streams of parents' names that no model has.

    The command waits for another that registers one now.
    """
    return tuple(
        dict.fromkeys(
            name_stream(p.model) for p in metadata.parents if not p.model_id and not is_outside(p.model)
        )
    )


def retirement(
    command: RetireEnvironment, cause: Cause, actor: Actor, permission: Permission, reason: str
) -> Submission:
    """Return the retirement of an environment.

    Which models use it is read under the lock on ENVIRONMENTS, which every command that begins a use reads.
    """
    return Submission(
        command, (ENVIRONMENTS,), cause, actor, permission=permission, reason=reason, under_locks=_with_users
    )


async def _with_users(connection: asyncpg.Connection, command: RetireEnvironment) -> RetireEnvironment:
    rows = await connection.fetch(USED_BY, command.namespace, command.name)
    return replace(command, used_by=tuple(row["name"] for row in rows))
