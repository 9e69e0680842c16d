"""Carry out a plan: copy the bytes, register the versions, set the aliases that name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from regista.client.async_client import AsyncClient
from regista.client.patience import Patience
from regista.client.transport import Transport
from regista.errors import Forbidden, Invalid, NotFound, Refused, RegistaError, RuleBroken, TooLarge
from regista.importing.adopting import Adoption
from regista.importing.claims import added_to
from regista.importing.files import CopiedFile
from regista.importing.parallel import each
from regista.importing.plan import AT_ONCE, PlannedModel, PlannedVersion
from regista.importing.source import Source
from regista.importing.texts import clean, fitted_tags, shortened
from regista.progress import Report, begin
from regista.publishing import publication
from regista.publishing.contract import check_publication
from regista.publishing.publication import Registered
from regista.publishing.upload_limits import LOCATION, check_limits
from regista.publishing.uploading import upload_streams
from regista.wire import limits

REASON = "imported"
_OF_ONE = (Invalid, NotFound, Refused, RuleBroken, TooLarge)
"""Errors of one version. Any other one ends the import: the next version would meet it, too."""


@dataclass(slots=True)
class ModelOutcome:
    """What became of a model. `imported` and `completed` have the numbers here, by the number there.

    `refused` and `failed` have the reasons. `problem`: why the rest of the model was left, or "". `adoption`:
    what became of the version that serves there, where it was to be adopted.
    """

    there: str
    model: str
    imported: dict[str, int] = field(default_factory=dict)
    completed: dict[str, int] = field(default_factory=dict)
    here_before: int = 0
    drafts: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    aliases_not_set: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    adoption: Adoption | None = None

    def shown(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


@dataclass(slots=True)
class Outcome:
    """What became of an import. `bytes` were copied. `stopped`: the error that ended it before its end."""

    models: list[ModelOutcome]
    bytes: int = 0
    stopped: RegistaError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 0 when everything is here, 1 for failures, 3 for refusals."""
        if self.stopped is not None:
            return self.stopped.exit_code
        adopted = {model.adoption.state for model in self.models if model.adoption}
        if "failed" in adopted or any(model.failed for model in self.models):
            return 1
        refused = "refused" in adopted or any(model.refused or model.problem for model in self.models)
        return 3 if refused else 0


class Copier:
    """Copies planned versions. Each one is registered as soon as its bytes are here, and stays."""

    def __init__(self, client: AsyncClient, source: Source) -> None:
        self._client = client
        self._source = source
        self._outcome = Outcome([])
        self._transport = Transport(client.profile, Patience())

    async def copy(self, planned: Sequence[PlannedModel], progress: Report | None = None) -> Outcome:
        """Copy everything, and return what became of it. An error is in the outcome, not raised."""
        begin(progress, [file.size for model in planned for v in model.versions for file in v.files])
        self._outcome.models = [ModelOutcome(model.there, model.here) for model in planned]

        async def one(pair: tuple[PlannedModel, ModelOutcome]) -> None:
            try:
                await self._model(*pair, progress)
            except RegistaError as e:
                self._outcome.stopped = self._outcome.stopped or e

        try:
            await each(zip(planned, self._outcome.models, strict=True), one, AT_ONCE)
        finally:
            await self._transport.close()
        return self._outcome

    async def _model(self, model: PlannedModel, outcome: ModelOutcome, progress: Report | None) -> None:
        outcome.problem, outcome.skipped = model.problem, model.skipped
        outcome.here_before = len(model.numbers)
        if model.problem:
            return
        for version in model.versions:
            if self._outcome.stopped is not None:
                return
            try:
                await self._version(model, version, outcome, progress)
            except Forbidden as e:
                outcome.problem = e.detail
                return
            except Refused as e:
                outcome.refused[version.number] = e.detail
            except _OF_ONE as e:
                outcome.failed[version.number] = e.detail
        for number, here in model.undescribed.items():
            await self._describe_again(model, number, here, outcome)
        await self._set_aliases(model, outcome)

    async def _version(
        self, model: PlannedModel, version: PlannedVersion, outcome: ModelOutcome, progress: Report | None
    ) -> None:
        if version.problem:
            outcome.failed[version.number] = version.problem
            return
        outcome.notes += [f"{version.number}: left out {note}" for note in version.notes]
        is_draft = bool(version.missing or version.completes)
        data = {"model": model.here, "draft": is_draft, **version.data}
        check_publication(data | _expected(version), creator_known=True)
        artifact = await self._copied(model, version, progress)
        if version.completes:
            await self._complete(model, version, artifact, outcome)
            return
        registered = await self._registered(model, {**data, **artifact}, outcome)
        model.exists = True
        model.numbers[version.number] = registered.number
        if not registered.new:
            outcome.here_before += 1
            return
        outcome.imported[version.number] = registered.number
        if version.missing:
            outcome.drafts.append(version.number)
        await self._describe(model, version.data["imported_from"], registered.number, outcome)

    async def _complete(
        self, model: PlannedModel, version: PlannedVersion, artifact: dict[str, Any], outcome: ModelOutcome
    ) -> None:
        """Add to a draft what it lacks. What it states already, perhaps by a person since, stays."""
        reference = f"{model.here}@{version.completes}"
        draft = await self._client.version(reference)
        added = {**added_to(cast("dict[str, Any]", draft), version.data), **artifact}
        if not added:  # others were faster
            return
        completed = await self._client.complete(reference, added, expected=draft["revision"])
        outcome.completed[version.number] = version.completes
        if completed["missing"]:
            outcome.drafts.append(version.number)

    async def _copied(
        self, model: PlannedModel, version: PlannedVersion, progress: Report | None
    ) -> dict[str, Any]:
        """Return ModelTrained's `artifact` after all bytes were copied; nothing for a version without."""
        if not version.files or version.source is None:
            return {}
        await check_limits(self._transport, {file.path: file.size for file in version.files})

        def report(name: str, done: int, total: int) -> None:
            if progress:
                progress(f"{model.here} {version.number}/{name}", done, total)

        waits = self._source.waits
        streams = [CopiedFile(version.source, file, waits, report) for file in version.files]
        artifact = await upload_streams(self._transport, streams)
        self._outcome.bytes += version.bytes
        return {"artifact": artifact}

    async def _registered(
        self, model: PlannedModel, data: dict[str, Any], outcome: ModelOutcome
    ) -> Registered:
        """Register a version. What the first one states about the model is left out where it is refused."""
        described = {} if model.exists else self._description(model, outcome)
        found = await publication.register(self._transport, {**data, **described})
        if isinstance(found, Refused) and described:
            fields = {problem.field for problem in found.problems}
            if fields & described.keys():
                kept = {name: value for name, value in described.items() if name not in fields}
                outcome.notes.append(f"{', '.join(sorted(fields))} of the model: {found.detail}")
                found = await publication.register(self._transport, {**data, **kept})
        if isinstance(found, Refused):
            raise found
        return found

    @staticmethod
    def _description(model: PlannedModel, outcome: ModelOutcome) -> dict[str, Any]:
        """Return description and tags of a new model, as far as they fit."""
        tags, others = fitted_tags(clean(model.model.tags))
        text = str(clean(model.model.description))
        if others:
            outcome.notes.append(
                f"{len(others)} tags of the model; `imported_from` of its first version has them"
            )
        if len(text) > limits.TEXT:
            outcome.notes.append(f"the description of the model is shortened to {limits.TEXT:,} characters")
        return {k: v for k, v in {"tags": tags, "description": shortened(text, limits.TEXT)}.items() if v}

    async def _describe(
        self, model: PlannedModel, imported: dict[str, Any], number: int, outcome: ModelOutcome
    ) -> None:
        """Give a version its description and tags, as far as they fit. `imported_from` has all of them."""
        tags, others = fitted_tags(imported.get("tags") or {})
        text = shortened(imported.get("description") or "", limits.TEXT)
        there = imported["number"]
        if others:
            outcome.notes.append(f"{there}: {len(others)} tags are in `imported_from` only")
        if len(imported.get("description") or "") > limits.TEXT:
            outcome.notes.append(f"{there}: the description is shortened to {limits.TEXT:,} characters")
        if not tags and not text:
            return
        try:
            await self._client.describe(
                f"{model.here}@{number}", description=text or None, tags=tags or None, reason=REASON
            )
        except (*_OF_ONE, Forbidden) as e:
            outcome.notes.append(f"{there}: description and tags were not set: {e.detail}")

    async def _describe_again(
        self, model: PlannedModel, there: str, number: int, outcome: ModelOutcome
    ) -> None:
        """Describe a version that an earlier run registered and did not come to describe."""
        version = await self._client.version(f"{model.here}@{number}")
        found = cast("dict[str, Any]", version["imported_from"] or {})
        if found.get("tags") or found.get("description"):
            await self._describe(model, {**found, "number": there}, number, outcome)

    async def _set_aliases(self, model: PlannedModel, outcome: ModelOutcome) -> None:
        """Set the aliases that are not set here. One that is set stays as it is."""
        if not model.model.aliases or not model.exists:
            return
        here = {one["alias"]: one["number"] for one in await self._client.aliases(model.here)}
        for alias, there in sorted(model.model.aliases.items()):
            number = model.numbers.get(there)
            if number is None:
                outcome.aliases_not_set[alias] = f"version {there} is not here"
            elif alias in here:
                if here[alias] != number:
                    outcome.aliases_not_set[alias] = f"here it names version {here[alias]} already"
            else:
                try:
                    await self._client.set_alias(model.here, alias, number)
                    outcome.aliases[alias] = number
                except (*_OF_ONE, Forbidden) as e:
                    outcome.aliases_not_set[alias] = e.detail


def _expected(version: PlannedVersion) -> dict[str, Any]:
    """Return ModelTrained's `artifact` as long as it will be, with zeros for what is not known yet."""
    if not version.files:
        return {}
    files = [{"path": file.path, "size": file.size, "sha256": "0" * 64} for file in version.files]
    return {"artifact": {"digest": "sha256:" + "0" * 64, "files": files, "location": LOCATION}}
