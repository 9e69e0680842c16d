"""Where a role counts, in the commands of `regista access`."""

from __future__ import annotations

from typing import Any

import click

ROLE = click.Choice(["publisher", "engineer", "approver", "auditor", "admin", "override"])
EVERYWHERE = "*"


def WHERE(command_: Any) -> Any:  # noqa: N802 - used like the options of other commands
    """Add the options for where a role counts."""
    command_ = click.option("--everywhere", is_flag=True, help="In every namespace.")(command_)
    return click.option("--namespace", help="In this namespace and all below it.")(command_)


def namespace_of(namespace: str | None, everywhere: bool, where: str) -> str:
    """Return the namespace. Raise click.UsageError unless exactly one of the options is given."""
    if everywhere and namespace not in {None, EVERYWHERE}:
        raise click.UsageError("choose one of --namespace and --everywhere")
    if everywhere or namespace == EVERYWHERE:
        return EVERYWHERE
    if not namespace:
        raise click.UsageError(f"say {where}: --namespace NAMESPACE, or --everywhere for every namespace")
    return namespace


def in_words(namespace: str) -> str:
    """Return where a role counts, as messages state it."""
    return "everywhere" if namespace == EVERYWHERE else f"in {namespace}"
