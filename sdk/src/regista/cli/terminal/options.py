"""Options that several commands have."""

from __future__ import annotations

from typing import Any, get_args

import click

from regista.choices import Kind, Stage, Tier

KINDS = click.Choice(get_args(Kind))
STAGES = click.Choice(get_args(Stage), case_sensitive=False)
TIERS = click.Choice(get_args(Tier))
GOALS = click.Choice(["validated", "production"])
TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(0), default=60.0, show_default=True, help="Seconds to wait."
)


def PLAN_OPTIONS(function: Any) -> Any:  # noqa: N802 - used like the options beside it
    """Add the options of a step over several versions that is shown before it is carried out."""
    plan = click.option("--plan", metavar="DIGEST", help="Carry out the plan that --dry-run showed.")
    dry_run = click.option("--dry-run", is_flag=True, help="Show what would change, and its plan.")
    return plan(dry_run(function))


ENVIRONMENT = click.option("--environment", "-e", default="production", show_default=True)


def _not_empty(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("give a reason: the audit trail keeps it")
    return value


REASON = click.option("--reason", required=True, callback=_not_empty, help="Kept in the audit trail.")
OPTIONAL_REASON = click.option("--reason", default="", help="Kept in the audit trail.")
REVISION = click.option(
    "--revision",
    type=click.IntRange(1),
    help="The revision of the review that you read (`regista reviews show`). On a terminal the review is "
    "shown first.",
)
IF_REVISION = click.option(
    "--if-revision",
    "expected",
    type=click.IntRange(0),
    metavar="N",
    help="Change only what you saw: the command is refused if the revision is no longer N. "
    "Without it the last writer wins.",
)
FROM_NUMBER = click.option(
    "--from",
    "from_number",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="The champion that you saw, 0 for none: the command is refused if another version is champion.",
)
