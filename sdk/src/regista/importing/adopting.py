"""Take over what serves in another registry, by a break-glass override that a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from regista.calls.waiting import ended
from regista.client.async_client import AsyncClient
from regista.errors import Forbidden, Invalid, NotFound, Refused, RuleBroken, TimedOut
from regista.importing.parallel import each
from regista.importing.plan import AT_ONCE, KEY, PlannedModel
from regista.importing.source import Serving
from regista.importing.texts import rfc3339, shortened
from regista.progress import Report, begin
from regista.shapes.approval import AdoptionBody

ROLES = ("admin", "override")
PATIENCE = 120.0
"""Seconds for the gates of a version, and again for its promotion."""
_REFUSALS = (Forbidden, Invalid, NotFound, Refused, RuleBroken)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decided: to adopt, into which environment here, and why."""

    reason: str
    environment: str = "production"


@dataclass(slots=True)
class Adoption:
    """What becomes of the version `there` that serves in its source. `here`: its number, 0 before it is here.

    `planned`: it would be adopted; `serves`: it serves here already. `why`: the reason of `refused` and
    `failed`, or what else is to know.
    """

    there: str
    stage: str
    environment: str
    state: Literal["planned", "adopted", "serves", "refused", "failed"] = "planned"
    here: int = 0
    promotion_id: str = ""
    why: str = ""

    def shown(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


class Adopter:
    """Adopts the version of each planned model that serves there."""

    def __init__(self, client: AsyncClient, choice: Choice) -> None:
        self._client = client
        self._choice = choice
        self._caller: dict[str, Any] = {}
        self.found: dict[str, Adoption] = {}

    async def plan(self, planned: Sequence[PlannedModel]) -> dict[str, Adoption]:
        """Return what would be adopted, or why not, by the model there. Nothing is changed."""
        serving = [model for model in planned if model.serves and not model.problem]
        if serving:
            self._caller = cast("dict[str, Any]", await self._client.whoami())
        await each(serving, self._plan, AT_ONCE)
        return {model.there: self.found[model.there] for model in serving}

    async def _plan(self, model: PlannedModel) -> None:
        serves = cast("Serving", model.serves)
        adoption = Adoption(serves.number, serves.stage, self._choice.environment)
        await self._check(model, adoption)
        self.found[model.there] = adoption

    async def adopt(self, planned: Sequence[PlannedModel], progress: Report | None = None) -> None:
        """Adopt what was imported; `found` has what became of it. Raises RegistaError."""
        await self.plan(planned)
        waiting = [model for model in planned if self._is_planned(model)]
        begin(progress, [1] * len(waiting))

        async def one(model: PlannedModel) -> None:
            await self._carry_out(model, self.found[model.there])
            if progress:
                progress(model.there, 1, 1)

        await each(waiting, one, AT_ONCE)

    def _is_planned(self, model: PlannedModel) -> bool:
        adoption = self.found.get(model.there)
        return adoption is not None and adoption.state == "planned"

    async def _carry_out(self, model: PlannedModel, adoption: Adoption) -> None:
        if not adoption.here:
            adoption.state, adoption.why = "refused", "it is not here: see why it was not imported"
            return
        try:
            await self._adopt(model, adoption)
        except TimedOut as e:
            adoption.state, adoption.why = "failed", e.detail
        except _REFUSALS as e:
            adoption.state, adoption.why = "refused", e.detail

    async def _check(self, model: PlannedModel, adoption: Adoption) -> None:
        """Note why a version is not adopted, as far as it can be known before the attempt."""
        adoption.here = model.numbers.get(adoption.there, 0)
        champion = await self._champion(model) if model.exists else 0
        if champion and champion == adoption.here:
            adoption.state = "serves"
        elif why := await self._refused(model, adoption, champion):
            adoption.state, adoption.why = "refused", why

    async def _refused(self, model: PlannedModel, adoption: Adoption, champion: int) -> str:
        if champion:
            return f"version {champion} serves in {adoption.environment} here: switch to another one yourself"
        if why := self._lacks(model.here.rpartition(".")[0]):
            return why
        planned = next((v for v in model.versions if v.number == adoption.there), None)
        if planned is not None:
            if planned.missing:
                return f"it is a draft here, which lacks {', '.join(planned.missing)}"
            return planned.problem
        if not adoption.here:
            return model.skipped.get(adoption.there) or "it is not here"
        version = await self._client.version(f"{model.here}@{adoption.here}")
        end = ended(version, "validated") if version["stage"] not in {"Validated", "Production"} else None
        if version.get("withdrawn"):
            return f"it was withdrawn here: {version['withdrawn']}"
        return end.detail if end else ""

    def _lacks(self, namespace: str) -> str:
        """Return why the caller may not adopt in a namespace, or "". The services check it again."""
        if self._caller["kind"] != "person":
            return f"{self._caller['subject']} is no person: a person has to decide it"
        for role in ROLES:
            held = [one["namespace"] for one in self._caller["roles"] if one["role"] == role]
            if not any(one in {"*", namespace} or namespace.startswith(f"{one}.") for one in held):
                where = f"in the namespace {namespace!r}" if namespace else "everywhere"
                return (
                    f"{self._caller['subject']} needs the roles admin and override {where}, and lacks {role}"
                )
        return ""

    async def _champion(self, model: PlannedModel) -> int:
        """Return the version that serves here, or 0."""
        serving = await self._client.serving(model=model.here, environment=self._choice.environment)
        return next((one["champion"] for one in serving if one["model"] == model.here), 0)

    async def _adopt(self, model: PlannedModel, adoption: Adoption) -> None:
        reference = f"{model.here}@{adoption.here}"
        version = await self._client.wait_for(reference, seconds=PATIENCE)
        there = cast("dict[str, Any]", version["imported_from"])
        named = f"{shortened(str(there['id']), 200)} version {there['number']} of {there['system']}"
        reason = f"adopts {named}, there {adoption.stage}: {self._choice.reason}"
        key = {name: there[name] for name in KEY}
        adopts = cast("AdoptionBody", {**key, "stage": adoption.stage, "read_at": rfc3339(model.read_at)})
        environment = adoption.environment
        requested = await self._client.promote(reference, environment, reason, serve=True)
        adoption.promotion_id = requested["promotion_id"]
        if await self._is_denied(adoption, reason, adopts):
            again = await self._client.promote(reference, environment, reason, serve=True)
            adoption.promotion_id = again["promotion_id"]
        await self._client.wait_for_promotion(adoption.promotion_id, PATIENCE)
        champion = await self._champion(model)
        adoption.state = "adopted" if champion == adoption.here else "refused"
        if adoption.state == "refused":
            adoption.why = f"it was promoted, and version {champion} serves here: another one was faster"

    async def _is_denied(self, adoption: Adoption, reason: str, adopts: AdoptionBody) -> bool:
        """Override. Return whether the gates had denied it: the override grants the next request then."""
        id_ = adoption.promotion_id
        try:
            return (await self._client.override(id_, reason, adopts=adopts))["state"] == "refused"
        except RuleBroken as e:
            promotion = await self._client.promotion(id_) if e.code == "promotion_closed" else None
            if promotion is None or promotion["state"] not in {"granted", "promoted"}:
                raise
            adoption.why = "its gates granted the promotion: no override was needed"
            return False
