"""Imports from an MLflow server into a Regista: as calls, and as the command of one of its people."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from regista.cli import root
from regista.client.async_client import AsyncClient
from regista.importing.copying import Copier, ModelOutcome, Outcome
from regista.importing.mlflow import read_address
from regista.importing.mlflow_source import MlflowSource
from regista.importing.plan import Choices, PlannedModel, Planner
from regista.importing.requests import Waits

from .conftest import House

PAUSES: list[float] = []


async def at_once(seconds: float) -> None:
    """Keep a pause, and go on."""
    PAUSES.append(seconds)


QUICK = Waits(attempts=3, sleep=at_once)


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
    profile = house.people[who]
    environment = {
        "REGISTA_URL": profile.url,
        "REGISTA_API_KEY": profile.api_key,
        "REGISTA_CONFIG": "/nowhere",
        "REGISTA_CACHE_DIR": profile.cache_dir,
    }
    command = ["import", "mlflow", "--from", url, "--to", "imported", *words, "--json"]
    result = CliRunner().invoke(root, command, env=environment)
    return result.exit_code, json.loads(result.stdout)


def moves_in(house: House, name: str, *roles: str) -> None:
    """A person with these roles everywhere."""
    subject = f"person:{name}"
    house.run("admin", "access", "identity", "create", subject, "--kind", "person", "--name", name.title())
    for role in roles:
        house.run("admin", "access", "grant", subject, role, "--everywhere")
    key = house.run("admin", "access", "key", "issue", subject)["api_key"]
    house.people[name] = replace(house.people["admin"], api_key=key)
