"""The fields of large events that their rows need: a rebuild decodes nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.registry.domain.model import events as e
from services.registry.domain.model.imported import import_key


class _Digest(msgspec.Struct, gc=False):
    digest: str


class _Dataset(msgspec.Struct, gc=False):
    name: str = ""
    digest: str | None = None


class _Metric(msgspec.Struct, gc=False):
    name: str
    value: float
    dataset_digest: str = ""
    dataset_name: str = ""
    definition: str | None = None
    higher_is_better: bool = True
    primary: bool = False


class _Training(msgspec.Struct, gc=False):
    creator: str | None = None
    dataset: _Dataset | None = None
    metrics: tuple[_Metric, ...] = ()


class _Parent(msgspec.Struct, gc=False):
    model: str
    relation: str
    digest: str = ""


class _External(msgspec.Struct, gc=False):
    uri: str
    run_id: str = ""
    run_link: str = ""
    model_id: str = ""


class _ImportedFrom(msgspec.Struct, gc=False):
    system: str
    uri: str
    id: str
    number: str

    @property
    def key(self) -> str:
        return import_key(self.system, self.uri, self.id, self.number)


class _Document(msgspec.Struct, gc=False):
    artifact: _Digest | None = None
    training: _Training = msgspec.field(default_factory=_Training)
    parents: tuple[_Parent, ...] = ()
    external: _External | None = None
    imported_from: _ImportedFrom | None = None


class _Bump(msgspec.Struct, gc=False):
    rule: str
    level: str | None = None


class BriefVersion(msgspec.Struct, gc=False):
    """The fields of a `VersionRegistered` that its rows need. Its document is nine tenths of the event."""

    number: int
    semver: str
    identity: str
    metadata: _Document
    bump: _Bump | None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


IN_BRIEF: Mapping[type, type] = {e.VersionRegistered: BriefVersion}
