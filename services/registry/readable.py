"""The models that a caller may read, as ranges of an index.

No index serves the condition `log.covers`: with it, a page for a reader of one small namespace reads the
models, or the versions, of everybody else first. All names of a namespace follow each other in the order of
bytes, so each namespace is a range of the index `models_in_order`.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.deciding.access import covers

IN_ORDER = 'm.name COLLATE "C"'
"""The order of lists of models `m`: by bytes, whatever the language of the database is."""

FEW = 1_000
"""Up to so many models or versions are looked up one by one.

More of them are frequent enough to be met soon on the way through the order of a page.
"""
MOST_RANGES = 50


def ranges(readable: Sequence[str] | None, value: str) -> list[str]:
    """Return the conditions that the caller may read the model `m`; one of them holds.

    `value` stands for `readable` in the statement. "/" is the byte behind ".", so it ends a namespace.
    """
    outermost = [
        number
        for number, one in enumerate(readable or (), 1)
        if not any(one.startswith(other + ".") for other in readable or ())
    ]
    if not 0 < len(outermost) <= MOST_RANGES:
        return [f"log.covers({value}::text[], m.name)"]
    ends = (f"({value}::text[])[{number}] || " for number in outermost)
    return [f"({IN_ORDER} >= {end}'.' AND {IN_ORDER} < {end}'/')" for end in ends]


def union(page: str, readable: Sequence[str] | None, value: str) -> str:
    """Return a page of each range; `{readable}` in the page stands for its condition.

    With an OR, PostgreSQL may go through the whole index and filter.
    """
    return " UNION ALL ".join(f"({page.format(readable=one)})" for one in ranges(readable, value))


def mine(readable: Sequence[str], value: str) -> str:
    """Return the part `mine` of a statement: the ids of the caller's models, of at most FEW and one."""
    models = union(f"SELECT m.model_id FROM models m WHERE {{readable}} LIMIT {FEW + 1}", readable, value)
    return f"mine AS MATERIALIZED (SELECT found.model_id FROM ({models}) AS found LIMIT {FEW + 1})"


def within(readable: Sequence[str] | None, namespace: str | None) -> Sequence[str] | None:
    """Return what of the readable namespaces (None: all) is in a namespace; all of them without one."""
    if namespace is None or readable is None:
        return readable if namespace is None else [namespace]
    if any(covers(one, namespace) for one in readable):
        return [namespace]
    return [one for one in readable if covers(namespace, one)]
