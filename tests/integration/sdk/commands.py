"""What people of a house do by the command line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .conftest import House


def adopts(house: House, who: str, *words: str) -> tuple[int, dict[str, Any] | None]:
    """Adopt what serves there, of one model: the exit code, and what became of it, or is planned."""
    code, report, errors = house.command(
        who, "import", *words, "--adopt-serving", "--reason", "we move today"
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
