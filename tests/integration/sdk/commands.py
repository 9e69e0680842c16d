"""The command line as one of a house's people."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from click.testing import CliRunner

from regista.cli import root

from .conftest import House


def command(house: House, who: str, *words: str) -> tuple[int, Any, str]:
    """Return exit code, JSON and errors of a command. An error that it does not handle is raised."""
    profile = house.people[who]
    environment = {
        "REGISTA_URL": profile.url,
        "REGISTA_API_KEY": profile.api_key,
        "REGISTA_CONFIG": "/nowhere",
        "REGISTA_CACHE_DIR": profile.cache_dir,
    }
    result = CliRunner().invoke(root, [*words, "--json"], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout or "null"), result.stderr


def adopts(house: House, who: str, *words: str) -> tuple[int, dict[str, Any] | None]:
    """Adopt what serves there, of one model: the exit code, and what became of it, or is planned."""
    code, report, errors = command(
        house, who, "import", *words, "--adopt-serving", "--reason", "we move today"
    )
    models = report if isinstance(report, list) else (report or {}).get("models")
    assert models, errors
    (model,) = models
    adoption: dict[str, Any] | None = model["adoption"]
    return code, adoption


def moves_in(house: House, name: str, *roles: str) -> None:
    """Make a person with these roles everywhere, unless the house has one of that name."""
    if name in house.people:
        return
    subject = f"person:{name}"
    house.run("admin", "access", "identity", "create", subject, "--kind", "person", "--name", name.title())
    for role in roles:
        house.run("admin", "access", "grant", subject, role, "--everywhere")
    key = house.run("admin", "access", "key", "issue", subject)["api_key"]
    house.people[name] = replace(house.people["admin"], api_key=key)
