"""Imports from an MLflow server into a Regista: as calls, and as the command of one of its people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from regista.client.async_client import AsyncClient
from regista.importing.copying import Copier, ModelOutcome, Outcome
from regista.importing.mlflow import read_address
from regista.importing.mlflow_source import MlflowSource
from regista.importing.plan import Choices, PlannedModel, Planner
from tests.import_pauses import QUICK

from .conftest import House


@asynccontextmanager
async def between(house: House, url: str, root_: Path | None = None) -> AsyncIterator[tuple[Any, Any]]:
    """A client of the publisher, and a source that is not waited for."""
    profile = replace(house.people["ci"], usage_window=0)
    source = MlflowSource(read_address(url, {}), root=root_, waits=QUICK)
    try:
        async with AsyncClient(profile) as client:
            yield client, source
    finally:
        await source.aclose()


async def plan(house: House, url: str, *models: str, **more: Any) -> list[PlannedModel]:
    async with between(house, url) as (client, source):
        return await Planner(client, source, Choices("imported", models, **more)).plan()


async def copy(house: House, url: str, *models: str, root_: Path | None = None, **more: Any) -> Outcome:
    """Import the models, and return what became of it."""
    async with between(house, url, root_) as (client, source):
        planned = await Planner(client, source, Choices("imported", models, **more)).plan()
        return await Copier(client, source).copy(planned)


async def copied(house: House, url: str, model: str, **more: Any) -> ModelOutcome:
    outcome = await copy(house, url, model, **more)
    assert outcome.stopped is None, outcome.stopped
    (found,) = outcome.models
    return found


def imports(house: House, url: str, *words: str, who: str = "ci") -> tuple[int, Any]:
    """The command as the publisher, or another one: its exit code and its JSON."""
    code, found, _ = house.command(who, "import", "mlflow", *into(url), *words)
    return code, found


def into(url: str) -> tuple[str, ...]:
    return "--from", url, "--to", "imported"
