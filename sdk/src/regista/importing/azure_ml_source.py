"""A workspace of Azure ML as the source of an import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from regista.errors import Forbidden, Invalid
from regista.importing.azure_blobs import Datastores
from regista.importing.azure_ml import AzureMlServer, default_credential
from regista.importing.azure_ml_claims import Facts, stated_of, tags_of
from regista.importing.files import NO_BYTES, Files, SourceFile, listed, why
from regista.importing.mlmodel_files import mlmodel_among
from regista.importing.requests import SourceBroken, Waits
from regista.importing.serving import newest_in_production
from regista.importing.source import LATER, Serving, SourceModel, SourceVersion, Stated
from regista.importing.texts import bare
from regista.wire import mirrored
from regista.wire.azure_ml import Workspace
from regista.wire.mlmodel import MLmodel

READY = frozenset({"Succeeded", ""})
MOST_JOBS = 1_000
"""Jobs that are kept: versions of one job often follow each other."""


class AzureMlSource:
    """A workspace. `credential` is one of azure-identity; without it the environment names the caller."""

    system = "azureml"
    adds_later = LATER

    def __init__(self, workspace: Workspace, *, credential: Any = None, waits: Waits | None = None) -> None:
        known = credential or default_credential()
        self._server = AzureMlServer(workspace, known, waits)
        self._datastores = Datastores(self._server, known)
        self._jobs: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None, str]] = {}
        self._no_runs_because = ""
        self.uri = workspace.uri
        self.waits = self._server.requests.waits

    async def aclose(self) -> None:
        """Close the connections."""
        await self._datastores.aclose()
        await self._server.aclose()

    async def models(self) -> AsyncIterator[SourceModel]:
        """Yield the models of the workspace, archived ones too."""
        await self._server.facts()  # a wrong name of the workspace ends here
        async for model in self._server.models():
            stated = model.get("properties") or {}
            yield SourceModel(
                str(model.get("name") or ""), str(stated.get("description") or ""), tags_of(model)
            )

    async def describe(self, model: SourceModel) -> SourceModel:
        """Return the model: the list has everything."""
        return model

    async def versions(self, model: SourceModel) -> list[SourceVersion]:
        """Return the versions of a model, by number."""
        return [_version(raw) for raw in await self._server.versions(model.name)]

    def serving(self, model: SourceModel, versions: Sequence[SourceVersion]) -> Serving | None:  # noqa: ARG002 - of the interface
        """Return the newest version in the stage Production that is not archived."""
        return newest_in_production(versions, _stage)

    async def read(self, model: SourceModel, version: SourceVersion) -> Stated:  # noqa: ARG002 - of the interface
        """Return what Azure answers about a version, its job and its files."""
        raw = version.raw
        own = raw.get("properties") or {}
        uri, notes = str(own.get("modelUri") or ""), list[str]()
        job, run, without_run = await self._job(str(own.get("jobName") or ""))
        reader: Files | None = None
        files: list[SourceFile] = []
        mlmodel: MLmodel | None = None
        requirements: list[str] = []
        problem = ""
        try:
            reader = await self._datastores.files(uri)
            files = await listed(reader)
            mlmodel, requirements = await mlmodel_among(reader, files, notes)
        except NO_BYTES as e:
            reader, files = None, []
            problem = f"{bare(uri)[:200] or 'no modelUri'}: {bare(why(e))}"
        stated = stated_of(Facts(self.uri, raw, job, run, mlmodel, requirements, problem))
        stated.reader, stated.files, stated.no_bytes_because = reader, files, problem
        stated.notes = [*notes, *([without_run] if without_run else []), *stated.notes]
        return stated

    async def _job(self, name: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str]:
        """Return a job, its run, and why there is none. Versions of one job read it once."""
        if not name:
            return None, None, ""
        if name not in self._jobs:
            if len(self._jobs) >= MOST_JOBS:
                self._jobs.clear()
            try:
                job = await self._server.job(name)
            except (Forbidden, Invalid) as e:
                self._jobs[name] = None, None, f"its job: {e.detail}"
            else:
                self._jobs[name] = job, *await self._run(name)
        return self._jobs[name]

    async def _run(self, name: str) -> tuple[dict[str, Any] | None, str]:
        """Return the run of a job. A tracking server that does not answer gets no other request."""
        if not self._no_runs_because:
            try:
                return await self._server.run(name), ""
            except (Forbidden, Invalid, SourceBroken) as e:
                self._no_runs_because = f"metrics and parameters of its run: {e.detail}"
        return None, self._no_runs_because


def _stage(version: SourceVersion) -> str:
    own = version.raw.get("properties") or {}
    return "" if own.get("isArchived") else str(own.get("stage") or "")


def _version(raw: Mapping[str, Any]) -> SourceVersion:
    own = raw.get("properties") or {}
    state = str(own.get("provisioningState") or "")
    skipped = "" if state in READY else f"its state there is {state}"
    if mirrored.AZURE_ML in (own.get("properties") or {}):
        skipped = mirrored.SKIPPED
    return SourceVersion(
        str(raw.get("name") or ""), skipped, bool(own.get("description") or tags_of(raw)), raw
    )
