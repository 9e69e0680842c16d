"""An MLflow server as the source of an import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regista.importing.files import NO_BYTES, Files, SourceFile, listed, why
from regista.importing.mlflow import Address, MlflowServer, tags_of
from regista.importing.mlflow_claims import Facts, stated_of
from regista.importing.mlmodel_files import mlmodel_among
from regista.importing.requests import Waits
from regista.importing.serving import newest_in_production
from regista.importing.source import LATER, Serving, SourceModel, SourceVersion, Stated
from regista.importing.texts import bare
from regista.wire import mirrored
from regista.wire.mlmodel import MLmodel

READY = frozenset({"READY", ""})
MOST_RUNS = 1_000
"""Runs that are kept: versions of one run often follow each other."""


class MlflowSource:
    """An MLflow server. `root`: the folder below which artifacts with local paths may be read, or None.

    `serving_alias` names what serves there; without it the stage Production does.
    """

    system = "mlflow"
    adds_later = LATER

    def __init__(
        self,
        address: Address,
        *,
        root: Path | None = None,
        waits: Waits | None = None,
        serving_alias: str = "",
    ) -> None:
        self._serving_alias = serving_alias
        self._server = MlflowServer(address, root=root, waits=waits)
        self._runs: dict[str, dict[str, Any] | None] = {}
        self.uri = address.uri
        self.waits = self._server.requests.waits

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.aclose()

    async def models(self) -> AsyncIterator[SourceModel]:
        """Yield the registered models, without prompts."""
        async for model in self._server.models():
            aliases = {str(one["alias"]): str(one["version"]) for one in model.get("aliases") or ()}
            yield SourceModel(
                str(model.get("name", "")),
                str(model.get("description") or ""),
                tags_of(model),
                aliases,
            )

    async def describe(self, model: SourceModel) -> SourceModel:
        """Return the model: the list has everything."""
        return model

    async def versions(self, model: SourceModel) -> list[SourceVersion]:
        """Return the versions of a model, by number."""
        return [_version(raw) for raw in await self._server.versions(model.name)]

    def serving(self, model: SourceModel, versions: Sequence[SourceVersion]) -> Serving | None:
        """Return the version of the alias, or the newest one in the stage Production, as MLflow loads it."""
        if not self._serving_alias:
            return newest_in_production(versions, lambda one: str(one.raw.get("current_stage") or ""))
        number = model.aliases.get(self._serving_alias)
        return Serving(number, f"alias {self._serving_alias}") if number else None

    async def read(self, model: SourceModel, version: SourceVersion) -> Stated:
        """Return what the server answers about a version, its run and its files."""
        raw = version.raw
        location = await self._server.location(model.name, version.number)
        aliases = [alias for alias, number in model.aliases.items() if number == version.number]
        return await self._read(raw, location, aliases)

    async def read_external(self, external: Mapping[str, Any]) -> Stated:
        """Return what the server states about the source of a draft that MLflow's clients registered here.

        `external` is that of a version here: `uri`, `run_id`, `model_id`.
        """
        source = str(external["uri"])
        of_run = source.removeprefix("runs:/") if source.startswith("runs:/") else ""
        run_id, _, path = of_run.partition("/")  # the run that has the files, whatever `run_id` states
        raw = {
            "source": source,
            "run_id": run_id or external.get("run_id"),
            "model_id": external.get("model_id"),
        }
        return await self._read(raw, source, (), path)

    async def _read(
        self, raw: Mapping[str, Any], location: str, aliases: Sequence[str], path: str = ""
    ) -> Stated:
        run = await self._run(str(raw.get("run_id") or ""))
        logged_id = str(raw.get("model_id") or _model_id(str(raw.get("source") or "")))
        logged = await self._server.logged_model(logged_id) if logged_id else None
        location = _resolved(location, path, run, logged)
        reader: Files | None = None
        files: list[SourceFile] = []
        mlmodel: MLmodel | None = None
        requirements: list[str] = []
        notes: list[str] = []
        problem = ""
        try:
            reader = self._server.files(location, run, logged)
            files = await listed(reader)
            mlmodel, requirements = await mlmodel_among(reader, files, notes)
        except NO_BYTES as e:
            reader, files = None, []
            problem = f"{bare(location)[:200] or 'no location'}: {bare(why(e))}"
        facts = Facts(self.uri, raw, aliases, run, logged, mlmodel, requirements, location, problem)
        stated = stated_of(facts)
        stated.reader, stated.files, stated.no_bytes_because = reader, files, problem
        stated.notes = [*notes, *stated.notes]
        return stated

    async def _run(self, run_id: str) -> dict[str, Any] | None:
        """Return a run. Versions of one run read it once."""
        if not run_id:
            return None
        if run_id not in self._runs:
            if len(self._runs) >= MOST_RUNS:
                self._runs.clear()
            self._runs[run_id] = await self._server.run(run_id)
        return self._runs[run_id]


def _version(raw: Mapping[str, Any]) -> SourceVersion:
    status = str(raw.get("status") or "")
    tags = tags_of(raw)
    skipped = "" if status in READY else f"its status there is {status}"
    if mirrored.MLFLOW in tags:
        skipped = mirrored.SKIPPED
    described = bool(raw.get("description") or tags)
    return SourceVersion(str(raw["version"]), skipped, described, raw)


def _model_id(source: str) -> str:
    """Return the id of the logged model that a version was made from (MLflow 3), or ""."""
    return source.removeprefix("models:/") if source.startswith("models:/m-") else ""


def _resolved(
    location: str, path: str, run: Mapping[str, Any] | None, logged: Mapping[str, Any] | None
) -> str:
    """Return where the files of `runs:/…` and of a logged model are, and any other location as it is."""
    if location.startswith("runs:/"):
        own = str(((run or {}).get("info") or {}).get("artifact_uri") or "")
        return f"{own.rstrip('/')}/{path}" if own and path else location
    if _model_id(location):
        return str(((logged or {}).get("info") or {}).get("artifact_uri") or location)
    return location
