"""`regista environment …`."""

from __future__ import annotations

import click

from regista.cli.terminal.options import IF_REVISION, REASON
from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.session import Session, command

ORDER = click.IntRange(0, 1000)


@click.group()
def environment() -> None:
    """Declare the targets of serving, and list them.

    An environment is written NAME, or NAMESPACE.NAME when it is only for models of a namespace. Versions are
    promoted and switched to in declared environments only. A promotion to a production environment gives the
    stage Production and needs the policy's gates for Production; another one needs those for NonProduction.
    """


@command(
    "list", group=environment, examples="regista environment list\nregista environment list --namespace risk"
)
@click.option("--namespace", help="Only what models of this namespace may use.")
@click.option("--retired", is_flag=True, help="Show retired ones, too.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def list_(session: Session, namespace: str | None, retired: bool, limit: int) -> None:
    """List the environments, by namespace and order."""
    with session.client() as client:
        found = client.environments(limit, namespace=namespace, retired=retired)
    columns = [
        ("environment", "environment"),
        ("production", "production"),
        ("order", "order"),
        ("description", "description"),
        ("changed", lambda e: to_the_second(e.get("changed_at"))),
    ]
    columns += [("retired", "retired")] if retired else []
    session.items(found, columns, "no environments: `regista environment create`", limit)


@command(group=environment, examples="regista environment show production")
@click.argument("name")
def show(session: Session, name: str) -> None:
    """Show one environment with its revision."""
    with session.client() as client:
        session.one(client.environment(name))


@command(
    group=environment,
    examples="regista environment create staging --no-production --order 20\n"
    'regista environment create risk.live-eu --production --description "customers of the EU"',
)
@click.argument("name")
@click.option(
    "--production/--no-production", required=True, help="Whether its traffic is production. It never changes."
)
@click.option("--order", type=ORDER, default=50, show_default=True, help="Its place in lists, lowest first.")
@click.option("--description", default="")
def create(session: Session, name: str, production: bool, order: int, description: str) -> None:
    """Declare an environment. Admins of its namespace may; a global one needs an admin everywhere."""
    with session.client() as client:
        got = client.create_environment(name, production=production, order=order, description=description)
    kind = "a production environment" if production else "no production environment"
    session.one(got, f"{name} is declared: {kind}")


@command(
    group=environment, examples='regista environment edit staging --order 10 --description "nightly tests"'
)
@click.argument("name")
@click.option("--order", type=ORDER)
@click.option("--description")
@IF_REVISION
def edit(
    session: Session, name: str, order: int | None, description: str | None, expected: int | None
) -> None:
    """Change the order or the description of an environment."""
    if order is None and description is None:
        raise click.UsageError("name what to change: --order or --description")
    with session.client() as client:
        got = client.edit_environment(name, order=order, description=description, expected=expected)
    session.one(got, f"changed {name}")


@command(group=environment, examples='regista environment retire staging --reason "the tests moved to lab"')
@click.argument("name")
@REASON
def retire(session: Session, name: str, reason: str) -> None:
    """Retire an environment that no model uses. Its name keeps its meaning: it can only be created again."""
    with session.client() as client:
        session.one(client.retire_environment(name, reason), f"retired {name}")
