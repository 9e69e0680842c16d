"""Complete drafts that MLflow's clients registered here, by their address alone: files and runs are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from regista.client.async_client import AsyncClient
from regista.errors import Forbidden, Invalid, NotFound
from regista.importing.claims import data_of
from regista.importing.mlflow_source import MlflowSource
from regista.importing.parallel import each
from regista.importing.plan import AT_ONCE, Choices, PlannedModel, PlannedVersion
from regista.importing.source import SourceModel
from regista.progress import Report, begin


class DraftPlanner:
    """Finds the caller's own drafts whose source is a run, a logged model or a file of one MLflow server.

    The source of a draft is what its registrant wrote, and the server is read with the caller's credentials.
    So drafts of others are left: who chose their files there may be none who may read them.
    """

    def __init__(self, client: AsyncClient, source: MlflowSource, choices: Choices) -> None:
        self._client = client
        self._source = source
        self._choices = choices

    async def plan(self, progress: Report | None = None) -> list[PlannedModel]:
        """Return a plan for each model here with such drafts, by name. Raises RegistaError."""
        caller = (await self._client.whoami())["subject"]
        drafts: dict[str, list[Mapping[str, Any]]] = {}
        for line in await self._client.versions(stage="Draft"):
            is_left = line["registered_by"] != caller or line["retired"] or line["imported_from"]
            if not is_left and self._wanted(line["model"]):
                drafts.setdefault(line["model"], []).append(cast("Mapping[str, Any]", line))
        planned = [PlannedModel(name, SourceModel(name), exists=True) for name in sorted(drafts)]
        begin(progress, [1] * len(planned))

        async def one(model: PlannedModel) -> None:
            for line in reversed(drafts[model.here]):
                await self._draft(model, line)
            if progress:
                progress(model.here, 1, 1)

        await each(planned, one, AT_ONCE)
        return [model for model in planned if model.count]

    def _wanted(self, name: str) -> bool:
        above = f"{space}." if (space := self._choices.namespace) else ""
        return name.startswith(above) and self._choices.includes(name.removeprefix(above))

    async def _draft(self, model: PlannedModel, line: Mapping[str, Any]) -> None:
        """Add a draft to the plan of its model, or the reason why it stays as it is."""
        lacks = tuple(line["missing"] or ())
        if not self._source.adds_later & {*lacks}:
            return
        version = await self._client.version(f"{model.here}@{line['number']}")
        external = cast("dict[str, Any]", version["external"] or {})
        if not external.get("uri"):
            return
        number = str(line["number"])
        model.count += 1
        planned = PlannedVersion(number, completes=line["number"], lacks=lacks)
        try:
            stated = await self._source.read_external(external)
        except (Forbidden, Invalid, NotFound) as e:
            model.skipped[number] = e.detail
            return
        data = data_of(stated, {}, {}, None)
        data.pop("imported_from", None)  # the draft was registered here
        planned.take(stated, data)
        if planned.adds:
            model.versions.append(planned)
        else:
            model.skipped[number] = stated.no_bytes_because or "its run states nothing that the draft lacks"
