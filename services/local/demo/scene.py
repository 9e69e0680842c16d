"""What the acts share: people, the model, what was trained, and the registered versions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx

from regista.client.async_client import AsyncClient
from regista.errors import NotFound
from regista.publishing.publication import Registered
from services.local.demo.narration import Narrator, until
from services.local.demo.training import Trained
from services.local.instance import Instance

NAMESPACE = "demo"
Json = Mapping[str, Any]


@dataclass(slots=True)
class Scene:
    """The state of one run of the demo.

    `people` are clients, each with its own key, by profile name; `subjects` are their subjects in events.
    `versions` are the registered versions by generation.
    """

    instance: Instance
    narrator: Narrator
    model: str
    closing: AsyncExitStack
    http: httpx.AsyncClient
    people: dict[str, AsyncClient] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    trained: dict[str, Trained] = field(default_factory=dict)
    versions: dict[str, Registered] = field(default_factory=dict)
    moments: dict[str, str] = field(default_factory=dict)

    @property
    def pipeline(self) -> AsyncClient:
        return self.people["training-pipeline"]

    @property
    def ada(self) -> AsyncClient:
        return self.people["ada"]

    @property
    def auditor(self) -> AsyncClient:
        return self.people["barbara"]

    def reference(self, generation: str) -> str:
        """Return `model@number` of a generation."""
        return f"{self.model}@{self.versions[generation].number}"

    def name(self, generation: str) -> str:
        """Return how a line names the version of a generation."""
        version = self.versions[generation]
        return f"{version.semver or 'draft'} (#{version.number}, {self.trained[generation].generation.story})"

    def name_of(self, number: int) -> str:
        """Return how a line names a version, by its number."""
        return next(
            (
                self.name(generation)
                for generation, version in self.versions.items()
                if version.number == number
            ),
            f"#{number}",
        )

    async def until_version(
        self, generation: str, good: Callable[[Json], bool], what: str, seconds: float = 30.0
    ) -> Json:

        async def look() -> Json | None:
            found = await self.ada.version(self.reference(generation))
            return found if good(found) else None

        return await until(look, f"{self.name(generation)} {what}", seconds)

    async def artifact(self, digest: str) -> Json:
        """Return the artifact as its service shows it, by plain HTTP."""
        headers = {"authorization": f"Bearer {self.ada.profile.api_key}"}
        answer = await self.http.get(
            f"{self.instance.urls['artifact']}/v1/artifacts/{digest}", headers=headers
        )
        return dict(answer.raise_for_status().json())


async def or_none(answer: Awaitable[Json]) -> Json | None:
    """Return None where the service has not yet received the event that creates the resource."""
    try:
        return await answer
    except NotFound:
        return None
