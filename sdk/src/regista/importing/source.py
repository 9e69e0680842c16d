"""What an import needs of another registry. Each registry has a module that states this of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from regista.importing.files import Files, SourceFile
from regista.importing.requests import Waits
from regista.wire.mandatory import ARTIFACT

OF_RUNS = frozenset(
    f"training.{name}" for name in ("config", "dataset.digest", "metrics", "trained_at", "code")
)
LATER = frozenset({ARTIFACT, *OF_RUNS})
"""What a source may state later: its files, and what is known of its runs. A schema comes with the files."""


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model there. `aliases`: the versions' numbers there, by alias. `raw`: what its source answered."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """A version there. `skipped`: why it is not imported now, or "". `raw`: what its source answered.

    `described`: it has a description or tags, or its list does not state it.
    """

    number: str
    skipped: str = ""
    described: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Serving:
    """The version that serves in production there. `stage`: the words of its source, such as `Production`."""

    number: str
    stage: str


@dataclass(slots=True)
class Stated:
    """What another registry states about one version.

    `training` and `schema` are ModelTrained's, `claims` the fields of `imported_from` beside its key. They
    are cleaned and fitted afterwards; a text is freed of credentials (`bare`) before it is cut. `files` is
    empty without bytes; `no_bytes_because` then states why, and `reader` is None. `notes`: what was left out.
    `skipped`: why it is not imported, where only the reading shows it.
    """

    training: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    reader: Files | None = None
    files: Sequence[SourceFile] = ()
    no_bytes_because: str = ""
    notes: list[str] = field(default_factory=list)
    skipped: str = ""


class Source(Protocol):
    """Another registry. It is read and never changed.

    Every method raises RegistaError. Forbidden, Invalid and NotFound end the one model or version, any other
    error (Unauthorized, SourceBroken) ends the import. A busy source is waited for inside.
    """

    @property
    def system(self) -> str:
        """Its name in `imported_from`: `mlflow`."""

    @property
    def uri(self) -> str:
        """Its address in `imported_from`, without credentials. It is part of the key of every version."""

    @property
    def adds_later(self) -> frozenset[str]:
        """The mandatory fields that it may state later of a version that lacks them: `wire.mandatory`."""

    @property
    def waits(self) -> Waits:
        """How often a stream that broke off is begun again."""

    def models(self) -> AsyncIterator[SourceModel]:
        """Yield the models. `uri` is known from the first one on."""

    async def describe(self, model: SourceModel) -> SourceModel:
        """Return a model that is imported, with what the list of models lacks."""

    async def versions(self, model: SourceModel) -> Sequence[SourceVersion]:
        """Return the versions of a model, the oldest first."""

    def serving(self, model: SourceModel, versions: Sequence[SourceVersion]) -> Serving | None:
        """Return which of these versions of a model serves in production, by what `versions` returned."""

    async def read(self, model: SourceModel, version: SourceVersion) -> Stated:
        """Return what is stated about a version that is not here yet."""

    async def aclose(self) -> None:
        """Close the connections."""
