"""Turn events about versions into requests to the targets that mirror them. Without a target: nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from services.mirror import queries
from services.mirror.domain.target import is_mirrored, stream_of
from services.mirror.domain.target_commands import RequestVersion
from shared.deciding.access import namespace_of
from shared.deciding.submission import Submission
from shared.foundation.topics import topic_of
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_service

if TYPE_CHECKING:
    from shared.http.app import App

ENTERS: Mapping[str, str] = {
    "VersionRegistered": "Staging",
    "VersionValidated": "Validated",
    "VersionPromoted": "Production",
    "VersionReopened": "Staging",
    "VersionReinstated": "",
    "VersionDescribed": "",
    "MetadataCorrected": "",
    "EvaluationRecorded": "",
    "VersionRejected": "",
    "VersionRecalled": "",
    "VersionArchived": "",
    "VersionRetired": "",
    "GrantWithdrawn": "",
    "RolloutChanged": "",
    "RolledBack": "",
    "AliasSet": "",
    "AliasRemoved": "",
}
"""The registry's events that change what a target shows, and the stage that a version has after them.

"" where the event leaves it open: then only versions that are mirrored already are requested."""


class Entry(msgspec.Struct, frozen=True):
    """A version in a rollout."""

    number: int


class Touched(msgspec.Struct, frozen=True):
    """The fields that name versions, in any of the events. `stage`: that of a version that was reinstated."""

    model_id: str
    model: str = ""
    number: int = 0
    entries: tuple[Entry, ...] = ()
    previous: tuple[Entry, ...] | str = ()
    from_number: int = 0
    to_number: int = 0
    stage: str = ""
    production: bool = True

    @property
    def numbers(self) -> list[int]:
        """The versions that the event concerns."""
        before = self.previous if isinstance(self.previous, tuple) else ()
        found = {self.number, self.from_number, self.to_number, *(e.number for e in (*self.entries, *before))}
        return sorted(found - {0})


_READ = msgspec.json.Decoder(Touched, strict=False)


def subscriptions(app: App) -> list[Subscription]:
    """Return what this service reads: changes of versions, and the bytes that become available."""
    changes = {f"regista.registry.{name}.v1": Handler(partial(request, app, name)) for name in ENTERS}
    bytes_ = {"regista.artifact.ArtifactReleased.v1": Handler(partial(request, app, "ArtifactReleased"))}
    return [
        Subscription(topic_of("registry"), "mirror", changes, by_service("registry")),
        Subscription(topic_of("artifact"), "mirror", bytes_, by_service("artifact")),
    ]


async def request(app: App, name: str, m: Received) -> Sequence[Submission]:
    """Request the versions of an event from each target that mirrors their model.

    An event of artifact names no model: it concerns only versions that a target waits for.
    """
    targets = await queries.followed(app.pool)
    if not targets:
        return []
    try:
        touched = _READ.decode(m.event.data)
    except msgspec.MsgspecError as e:
        raise Malformed(f"the data is not of the shape that mirror reads of {m.event.type}: {e}") from e
    only: Literal["", "waiting"] = "" if name in ENTERS else "waiting"
    enters = touched.stage or ENTERS.get(name, "")
    if name == "VersionPromoted" and not touched.production:
        enters = "Validated"
    return [
        Submission(
            RequestVersion(target.target, touched.model_id, touched.model, number, name, enters, only),
            (stream_of(target.target),),
            m.cause(f"{target.target}/{number}"),
            m.actor,
        )
        for target in targets
        if not touched.model or is_mirrored(target.namespaces, namespace_of(touched.model))
        for number in touched.numbers
    ]
