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
    click.option(
        "--adopt-serving",
        "adopts",
        is_flag=True,
        help="Take over what serves in production there, past the gates, by a recorded decision (break-glass "
        "override). Needs a person with the roles admin and override, and --reason.",
    ),
    click.option("--reason", default="", help="Why it is adopted. Kept in the audit trail."),
    click.option(
        "--environment",
        "-e",
        default="production",
        show_default=True,
        help="Where the adopted version serves here.",
    ),
)
LONGEST_REASON = 1_000


def import_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options. The function gets `choices` in place of those that choose, `adopts`, and `dry_run`.

    `adopts` is a Choice, or None without --adopt-serving.
    """

    @functools.wraps(function)
    def run(
        *args: Any,
        namespace: str,
        models: tuple[str, ...],
        rename: tuple[str, ...],
        creator: tuple[str, ...],
        adopts: bool,
        reason: str,
        environment: str,
        **named: Any,
    ) -> Any:
        from regista.importing.adopting import Choice  # noqa: PLC0415 - imported when a command runs
        from regista.importing.plan import Choices  # noqa: PLC0415

        _check_reason(reason.strip(), adopts=adopts)
        choice = Choice(reason.strip(), environment) if adopts else None

        choices = Choices(namespace, models, _pairs(rename, "--rename"), _pairs(creator, "--creator"))
        return function(*args, choices=choices, adopts=choice, **named)

    decorated: Callable[..., Any] = run
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _check_reason(reason: str, *, adopts: bool) -> None:
    """Raise BadParameter for an adoption without a reason, and for a reason without one."""
    if adopts and not reason:
        raise click.BadParameter("--adopt-serving needs --reason: the audit trail keeps it")
    if reason and not adopts:
        raise click.BadParameter("--reason is that of --adopt-serving, which is missing")
    if len(reason) > LONGEST_REASON:
        raise click.BadParameter(f"--reason has more than {LONGEST_REASON:,} characters")


def _pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """Return `THERE=HERE` arguments. The name there may have the sign `=` in it."""
    found = {}
    for value in values:
        there, _, here = value.rpartition("=")
        if not there or not here:
            raise click.BadParameter(f"{value!r} is no pair of names: write {option} THERE=HERE")
        found[there] = here
    return found
