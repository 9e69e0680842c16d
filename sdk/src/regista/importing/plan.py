"""Plan an import: what there is, what is here already, and what each version lacks."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regista.client.async_client import AsyncClient
from regista.errors import Forbidden, Invalid, NotFound, RegistaError
from regista.importing.files import Files, SourceFile, Unreachable, listed
from regista.importing.mlflow import MlflowSource, tags_of
from regista.importing.mlflow_claims import Facts, claims_of
from regista.importing.mlmodel import read_mlmodel
from regista.importing.names import colliding, names_here
from regista.importing.parallel import each
from regista.importing.texts import bare, clean
from regista.progress import Report, begin
from regista.wire.mandatory import missing_fields
from regista.wire.mlmodel import MOST_BYTES, MLmodel
from regista.wire.mlmodel import NAME as MLMODEL

AT_ONCE = 4
"""Models that are read or copied at the same time."""
READY = frozenset({"READY", ""})
MOST_RUNS = 1_000
"""Runs that are kept: versions of one run often follow each other."""
REQUIREMENTS = "requirements.txt"
MOST_REQUIREMENTS = 256 << 10


@dataclass(slots=True)
class PlannedVersion:
    """A version there that is not here yet, or that is here without its bytes.

    `files` is empty without bytes; `no_bytes_because` then states why. `completes` is its number here when
    only the bytes are new. `missing`: why it becomes a draft. `notes`: what is left out.
    """

    number: str
    data: dict[str, Any] = field(default_factory=dict)
    source: Files | None = None
    files: Sequence[SourceFile] = ()
    no_bytes_because: str = ""
    missing: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    completes: int = 0
    problem: str = ""

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(slots=True)
class PlannedModel:
    """A model there. `problem`: why nothing of it is imported, or "".

    `numbers` has the numbers here of versions that were imported before, by the number there. `skipped` are
    versions that are not ready there. `undescribed` are versions here, by the number there, whose description
    and tags an earlier run did not come to set.
    """

    there: str
    here: str
    model: Mapping[str, Any]
    exists: bool = False
    problem: str = ""
    count: int = 0
    versions: list[PlannedVersion] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    undescribed: dict[str, int] = field(default_factory=dict)

    @property
    def aliases(self) -> dict[str, str]:
        """The aliases there, with the numbers there."""
        return {str(one["alias"]): str(one["version"]) for one in self.model.get("aliases") or ()}

    def shown(self) -> dict[str, Any]:
        """Return the line of the plan."""
        missing = Counter(name for version in self.versions for name in version.missing)
        return {
            "there": self.there,
            "model": self.here,
            "versions": self.count,
            "here": len(self.numbers),
            "new": len([v for v in self.versions if not v.completes]),
            "files": sum(len(v.files) for v in self.versions),
            "bytes": sum(v.bytes for v in self.versions),
            "drafts": len([v for v in self.versions if v.missing]),
            "missing": dict(sorted(missing.items())),
            "without_bytes": {v.number: v.no_bytes_because for v in self.versions if v.no_bytes_because},
            "skipped": dict(self.skipped),
            "aliases": self.aliases,
            "stages": self._stages(),
            "creators": sorted(self._creators()),
            "problems": {v.number: v.problem for v in self.versions if v.problem},
            "notes": {v.number: v.notes for v in self.versions if v.notes},
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


class Planner:
    """Reads the source and the registry, and changes neither."""

    def __init__(self, client: AsyncClient, source: MlflowSource, choices: Choices) -> None:
        self._client = client
        self._source = source
        self._choices = choices
        self._runs: dict[str, dict[str, Any] | None] = {}

    async def plan(self, progress: Report | None = None) -> list[PlannedModel]:
        """Return a plan for each model, by name. Raises RegistaError when the source does not answer."""
        found = [m async for m in self._source.models() if self._wanted(str(m.get("name", "")))]
        found.sort(key=lambda model: str(model["name"]))
        names = names_here([str(m["name"]) for m in found], self._choices.namespace, self._choices.renamed)
        collisions = colliding(names)
        planned = [PlannedModel(str(m["name"]), names[str(m["name"])], m) for m in found]
        begin(progress, [1] * len(planned))

        async def one(model: PlannedModel) -> None:
            await self._model(model, collisions.get(model.here, ()))
            if progress:
                progress(model.there, 1, 1)

        await each(planned, one, AT_ONCE)
        return planned

    def _wanted(self, name: str) -> bool:
        patterns = self._choices.models
        return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    async def _model(self, model: PlannedModel, collisions: Sequence[str]) -> None:
        try:
            versions = await self._source.versions(model.there)
        except (Forbidden, Invalid, NotFound) as e:
            model.problem = e.detail
            return
        model.count = len(versions)
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
            if line["stage"] == "Draft" and not line["artifact_digest"] and not line["retired"]:
                model.versions.append(PlannedVersion(name["number"], completes=line["number"]))
        if own and not model.numbers and model.there not in self._choices.renamed:
            model.problem = (
                f"{model.here} is here already and was not imported from there: choose another name, or add "
                f"the versions to it: --rename '{model.there}={model.here}'"
            )

    def _key(self, model: PlannedModel) -> tuple[str, str, str]:
        return self._source.system, self._source.uri, str(clean(model.there))

    async def _version(self, model: PlannedModel, version: Mapping[str, Any]) -> None:
        number, status = str(version["version"]), str(version.get("status") or "")
        waiting = next((v for v in model.versions if v.number == number), None)
        if not version.get("description") and not tags_of(version):
            model.undescribed.pop(number, None)
        if number in model.numbers and waiting is None:
            return
        if status not in READY:
            model.skipped[number] = f"its status there is {status}"
            return
        planned = waiting or PlannedVersion(number)
        try:
            await self._read(model, version, planned)
        except (Forbidden, Invalid, NotFound) as e:
            planned.problem = e.detail
        if waiting and not planned.files:
            model.versions.remove(waiting)
        elif not waiting:
            model.versions.append(planned)

    async def _read(self, model: PlannedModel, version: Mapping[str, Any], planned: PlannedVersion) -> None:
        location = await self._source.location(model.there, planned.number)
        run = await self._run(str(version.get("run_id") or ""))
        logged_id = str(version.get("model_id") or _model_id(str(version.get("source") or "")))
        logged = await self._source.logged_model(logged_id) if logged_id else None
        mlmodel: MLmodel | None = None
        requirements: list[str] = []
        try:
            planned.source = self._source.files(location, run, logged)
            planned.files = await listed(planned.source)
            mlmodel = await self._mlmodel(planned)
            requirements = await self._requirements(planned)
        except (Unreachable, NotFound, Forbidden, Invalid) as e:
            planned.files, planned.source = (), None
            planned.no_bytes_because = f"{bare(location)[:200] or 'no location'}: {bare(_why(e))}"
        facts = Facts(
            self._source.uri,
            version,
            [alias for alias, number in model.aliases.items() if number == planned.number],
            run,
            logged,
            mlmodel,
            requirements,
            location,
            planned.no_bytes_because,
            self._of_model(model) if not model.numbers and not model.versions else None,
        )
        claims = claims_of(facts, self._choices.creators)
        planned.data, planned.notes = claims.data, [*planned.notes, *claims.notes]
        planned.missing = missing_of(planned)

    @staticmethod
    def _of_model(model: PlannedModel) -> dict[str, Any]:
        """Return what MLflow states about the model, which its first version here keeps."""
        stated = {"description": model.model.get("description"), "tags": tags_of(model.model)}
        return {name: value for name, value in stated.items() if value}

    async def _run(self, run_id: str) -> dict[str, Any] | None:
        """Return a run. Versions of one run read it once."""
        if not run_id:
            return None
        if run_id not in self._runs:
            if len(self._runs) >= MOST_RUNS:
                self._runs.clear()
            self._runs[run_id] = await self._source.run(run_id)
        return self._runs[run_id]

    async def _mlmodel(self, planned: PlannedVersion) -> MLmodel | None:
        raw = await self._small(planned, MLMODEL, MOST_BYTES)
        return None if raw is None else read_mlmodel(raw)

    async def _requirements(self, planned: PlannedVersion) -> list[str]:
        raw = await self._small(planned, REQUIREMENTS, MOST_REQUIREMENTS) or b""
        return requirements_in(raw)

    async def _small(self, planned: PlannedVersion, path: str, most: int) -> bytes | None:
        """Return a file that describes the version, None when there is none or it is too large."""
        size = next((file.size for file in planned.files if file.path == path), None)
        if size is None or planned.source is None:
            return None
        raw = bytearray()
        if size <= most:
            async for piece in planned.source.read(path):
                raw += piece
                if len(raw) > most:
                    break
        if size > most or len(raw) > most:
            planned.notes.append(f"{path} has more than {most:,} bytes and was not read")
            return None
        return bytes(raw)


def requirements_in(raw: bytes) -> list[str]:
    """Return the requirements that a file of pip lists, without its comments and options."""
    lines = (line.strip() for line in raw.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def missing_of(planned: PlannedVersion) -> tuple[str, ...]:
    """Return the mandatory fields that a version lacks. The caller is the creator where there is no other."""
    training = {"creator": "the caller", **planned.data.get("training", {})}
    artifact = {"artifact": {"digest": "known later"}} if planned.files else {}
    return missing_fields({**planned.data, "training": training, **artifact})


def _model_id(source: str) -> str:
    """Return the id of the logged model that a version was made from (MLflow 3), or ""."""
    return source.removeprefix("models:/") if source.startswith("models:/m-") else ""


def _why(error: Exception) -> str:
    return error.detail if isinstance(error, RegistaError) else str(error)
