"""Plan an import: what there is, what is here already, and what each version lacks."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from regista.client.async_client import AsyncClient
from regista.errors import Forbidden, Invalid, NotFound
from regista.importing.claims import data_of
from regista.importing.files import Files, SourceFile
from regista.importing.names import colliding, names_here
from regista.importing.parallel import each
from regista.importing.source import Serving, Source, SourceModel, SourceVersion, Stated
from regista.importing.texts import clean
from regista.progress import Report, begin
from regista.wire.mandatory import ARTIFACT, missing_fields

AT_ONCE = 4
"""Models that are read or copied at the same time."""
KEY = ("system", "uri", "id", "number")
"""The fields of `imported_from` that name a version there."""


@dataclass(slots=True)
class PlannedVersion:
    """A version there that is not here yet, or that is a draft here.

    `files` is empty without bytes; `no_bytes_because` then states why. `completes` is the number here of a
    draft, and `lacks` what it lacks: only that is added to it. `missing`: what it lacks afterwards, which
    makes it a draft. `notes`: what is left out.
    """

    number: str
    data: dict[str, Any] = field(default_factory=dict)
    source: Files | None = None
    files: Sequence[SourceFile] = ()
    no_bytes_because: str = ""
    missing: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    completes: int = 0
    lacks: Sequence[str] = ()
    problem: str = ""

    def take(self, stated: Stated, data: dict[str, Any]) -> None:
        """Keep what the source states about it, and what it lacks with that. Files that are here stay."""
        if not self.completes or ARTIFACT in self.lacks:
            self.source, self.files = stated.reader, stated.files
            self.no_bytes_because = stated.no_bytes_because
        self.data, self.notes = data, stated.notes
        self.missing = missing_of(self)

    @property
    def adds(self) -> bool:
        """Whether there is anything that the draft lacks here."""
        return bool(set(self.lacks) - set(self.missing))

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(slots=True)
class PlannedModel:
    """A model there. `problem`: why nothing of it is imported, or "".

    `numbers` has the numbers here of versions that were imported before, by the number there. `skipped` are
    versions that are not ready there. `undescribed` are versions here, by the number there, whose description
    and tags an earlier run did not come to set. `serves`: the version that serves there, as it was read at
    `read_at`.
    """

    here: str
    model: SourceModel
    exists: bool = False
    problem: str = ""
    count: int = 0
    versions: list[PlannedVersion] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    undescribed: dict[str, int] = field(default_factory=dict)
    serves: Serving | None = None
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def there(self) -> str:
        """Its name there."""
        return self.model.name

    def shown(self) -> dict[str, Any]:
        """Return the line of the plan."""
        missing = Counter(name for version in self.versions for name in version.missing)
        return {
            "there": self.there,
            "model": self.here,
            "versions": self.count,
            "here": len(self.numbers),
            "new": len([v for v in self.versions if not v.completes]),
            "completed": {v.number: sorted({*v.lacks} - {*v.missing}) for v in self.versions if v.completes},
            "files": sum(len(v.files) for v in self.versions),
            "bytes": sum(v.bytes for v in self.versions),
            "drafts": len([v for v in self.versions if v.missing]),
            "missing": dict(sorted(missing.items())),
            "without_bytes": {v.number: v.no_bytes_because for v in self.versions if v.no_bytes_because},
            "skipped": dict(self.skipped),
            "aliases": dict(self.model.aliases),
            "stages": self._stages(),
            "creators": sorted(self._creators()),
            "problems": {v.number: v.problem for v in self.versions if v.problem},
            "notes": {v.number: v.notes for v in self.versions if v.notes},
            "serves_there": self.serves.number if self.serves else None,
            "problem": self.problem,
        }

    def _creators(self) -> set[str]:
        """Return the users there whose versions get the caller as their creator."""
        return {
            str(v.data["imported_from"]["created_by"])
            for v in self.versions
            if v.data.get("imported_from", {}).get("created_by")
            and not v.data.get("training", {}).get("creator")
        }

    def _stages(self) -> dict[str, str]:
        stages = {v.number: v.data.get("imported_from", {}).get("stage") for v in self.versions}
        return {number: str(stage) for number, stage in stages.items() if stage}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller chose. `creators`: identities here, by the user there."""

    namespace: str = ""
    models: Sequence[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    creators: Mapping[str, str] = field(default_factory=dict)

    def includes(self, name: str) -> bool:
        """Return whether a model is chosen, by its name without the namespace."""
        return not self.models or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.models)


class Planner:
    """Reads the source and the registry, and changes neither."""

    def __init__(self, client: AsyncClient, source: Source, choices: Choices) -> None:
        self._client = client
        self._source = source
        self._choices = choices

    async def plan(self, progress: Report | None = None) -> list[PlannedModel]:
        """Return a plan for each model, by name. Raises RegistaError when the source does not answer."""
        found = [model async for model in self._source.models() if self._choices.includes(model.name)]
        found.sort(key=lambda model: model.name)
        names = names_here([model.name for model in found], self._choices.namespace, self._choices.renamed)
        collisions = colliding(names)
        planned = [PlannedModel(names[model.name], model) for model in found]
        begin(progress, [1] * len(planned))

        async def one(model: PlannedModel) -> None:
            await self._model(model, collisions.get(model.here, ()))
            if progress:
                progress(model.there, 1, 1)

        await each(planned, one, AT_ONCE)
        return planned

    async def _model(self, model: PlannedModel, collisions: Sequence[str]) -> None:
        try:
            model.model = await self._source.describe(model.model)
            versions = await self._source.versions(model.model)
        except (Forbidden, Invalid, NotFound) as e:
            model.problem = e.detail
            return
        model.count = len(versions)
        model.serves, model.read_at = self._source.serving(model.model, versions), datetime.now(UTC)
        if not model.here:
            model.problem = f"no model can be named {model.there!r:.120}: choose a name with --rename"
        elif collisions:
            others = ", ".join(repr(one)[:80] for one in collisions if one != model.there)
            model.problem = f"{others} would be {model.here}, too: choose names with --rename"
        else:
            await self._compare(model)
        if model.problem:
            return
        for version in versions:
            await self._version(model, version)
        order = {version.number: position for position, version in enumerate(versions)}
        model.versions = [planned for planned in model.versions if planned.number in order]
        model.versions.sort(key=lambda planned: order[planned.number])

    async def _compare(self, model: PlannedModel) -> None:
        """Note which versions are here. A model of that name that was not imported from there collides."""
        try:
            await self._client.model(model.here)
        except NotFound:
            return
        model.exists = True
        own = False
        lines = await self._client.versions(model.here)
        for line in reversed(lines):
            name = line.get("imported_from")
            if not name or (name["system"], name["uri"], name["id"]) != self._key(model):
                own = True
                continue
            model.numbers[name["number"]] = line["number"]
            if line["description"] is None and line["tags"] is None and not line["retired"]:
                model.undescribed[name["number"]] = line["number"]
            lacks = tuple(line["missing"] or ())
            if line["stage"] == "Draft" and not line["retired"] and self._source.adds_later & {*lacks}:
                completed = PlannedVersion(name["number"], completes=line["number"], lacks=lacks)
                model.versions.append(completed)
        if own and not model.numbers and model.there not in self._choices.renamed:
            model.problem = (
                f"{model.here} is here already and was not imported from there: choose another name, or add "
                f"the versions to it: --rename '{model.there}={model.here}'"
            )

    def _key(self, model: PlannedModel) -> tuple[str, str, str]:
        return self._source.system, self._source.uri, str(clean(model.there))

    async def _version(self, model: PlannedModel, version: SourceVersion) -> None:
        number = version.number
        waiting = next((v for v in model.versions if v.number == number), None)
        if not version.described:
            model.undescribed.pop(number, None)
        if number in model.numbers and waiting is None:
            return
        planned, skipped = waiting or PlannedVersion(number), version.skipped
        try:
            skipped = skipped or await self._read(model, version, planned)
        except (Forbidden, Invalid, NotFound) as e:
            planned.problem = e.detail
        if skipped:
            model.skipped[number] = skipped
        if waiting and (skipped or planned.problem or not planned.adds):
            model.versions.remove(waiting)
        elif not waiting and not skipped:
            model.versions.append(planned)

    async def _read(self, model: PlannedModel, version: SourceVersion, planned: PlannedVersion) -> str:
        """Read what is stated about a version. Return why it is skipped, or ""."""
        is_first = not model.numbers and not model.versions
        stated = await self._source.read(model.model, version)
        if stated.skipped:
            return stated.skipped
        key = dict(zip(KEY, (*self._key(model), version.number), strict=True))
        described = model.model if is_first else None
        planned.take(stated, data_of(stated, key, self._choices.creators, described))
        return ""


def missing_of(planned: PlannedVersion) -> tuple[str, ...]:
    """Return the mandatory fields that a version lacks. The caller is the creator where there is no other."""
    training = {"creator": "the caller", **planned.data.get("training", {})}
    artifact = {"artifact": {"digest": "known later"}} if planned.files else {}
    missing = missing_fields({**planned.data, "training": training, **artifact})
    return tuple(name for name in planned.lacks if name in missing) if planned.completes else missing
