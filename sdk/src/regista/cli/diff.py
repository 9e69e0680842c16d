"""`regista diff`."""

from __future__ import annotations

import click

from regista.cli.terminal.session import Session, command


@command(examples="regista diff churn@2 churn@3\nregista diff churn@production 4")
@click.argument("old", metavar="MODEL@VERSION")
@click.argument("new", metavar="[MODEL@]VERSION")
def diff(session: Session, old: str, new: str) -> None:
    """Show how two versions of a model differ: schema, code, config, data, metrics."""
    from regista.calls.requests import model_and_version  # noqa: PLC0415

    model, first = model_and_version(old)
    other, second = model_and_version(new if "@" in new else f"{model}@{new}")
    if other != model:
        raise click.UsageError(f"{old} and {new} are versions of different models")
    with session.client() as client:
        found = client.diff(model, first, second)
    if session.json:
        session.out(found)
        return
    columns = [
        ("part", "part"),
        ("where", "path"),
        ("what", "what"),
        ("before", "before"),
        ("after", "after"),
        ("detail", "detail"),
        ("breaking", lambda c: "yes" if c.get("breaking") else ""),
    ]
    session.items(found["changes"], columns, f"{old} and {new} do not differ")
