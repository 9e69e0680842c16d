"""Who subjects are, for people: the directory's names beside the ids, looked up when they are shown.

Programs (`--json`) get the ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from regista.cli.session import Session

if TYPE_CHECKING:
    from regista.client.sync_client import Client

Shown = Callable[[Any], str]


def naming(session: Session, client: Client, subjects: Iterable[Any]) -> Shown:
    """How to show a subject: `Ann Example (u-7k2m)`, `u-7k2m (erased)`, or as it is where the directory does not know it or does not answer."""
    from regista.errors import RegistaError  # noqa: PLC0415

    names: dict[str, str | None] = {}
    asked = {str(s) for s in subjects if s and not str(s).startswith("service:")}
    if asked and not session.json:
        try:
            names = client.names(asked)
        except RegistaError:
            names = {}

    def shown(subject: Any) -> str:
        id_ = str(subject or "")
        if id_ not in names or names[id_] == id_:
            return id_
        return f"{names[id_]} ({id_})" if names[id_] else f"{id_} (erased)"

    return shown
