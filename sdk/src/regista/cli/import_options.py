"""The options that every `regista import …` has, and their values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--to", "namespace", default="", metavar="NAMESPACE", help="The namespace of the models here."
    ),
    click.option("--models", multiple=True, metavar="PATTERN", help="Only these: 'fraud*'. May be repeated."),
    click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing."),
    click.option(
        "--rename",
        multiple=True,
        metavar="THERE=HERE",
        help="The whole name of a model here. May be repeated.",
    ),
    click.option(
        "--creator",
        multiple=True,
        metavar="THERE=IDENTITY",
        help="Who a user there is here: never an approver of what they made. May be repeated.",
    ),
)


def import_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options. The function gets `choices` in place of those that choose, and `dry_run`."""

    @functools.wraps(function)
    def run(
        *args: Any,
        namespace: str,
        models: tuple[str, ...],
        rename: tuple[str, ...],
        creator: tuple[str, ...],
        **named: Any,
    ) -> Any:
        from regista.importing.plan import Choices  # noqa: PLC0415 - imported when a command runs

        choices = Choices(namespace, models, _pairs(rename, "--rename"), _pairs(creator, "--creator"))
        return function(*args, choices=choices, **named)

    decorated: Callable[..., Any] = run
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """Return `THERE=HERE` arguments. The name there may have the sign `=` in it."""
    found = {}
    for value in values:
        there, _, here = value.rpartition("=")
        if not there or not here:
            raise click.BadParameter(f"{value!r} is no pair of names: write {option} THERE=HERE")
        found[there] = here
    return found
