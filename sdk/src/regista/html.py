"""HTML of runs, versions and diffs for notebooks. Every text is escaped: nothing foreign becomes markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_ROWS = 200
MOST_CHARACTERS = 2_000
"""Of one cell. A notebook keeps its output: a configuration of megabytes is cut."""
Row = Sequence[object]


class VersionShown(dict[str, Any]):
    """The answer about a version: a dictionary that notebooks show as a table."""

    def _repr_html_(self) -> str:
        return version(self)


class DiffShown(dict[str, Any]):
    """The answer about two versions: a dictionary that notebooks show as a table."""

    def _repr_html_(self) -> str:
        return diff(self)


def version(found: Mapping[str, Any]) -> str:
    """Return a version with its metrics: what a person looks at first."""
    fields = (
        "stage",
        "missing",
        "reasons",
        "withdrawn",
        "withdrawn_ancestors",
        "legal_hold",
        "retired",
        "kind",
    )
    rows: list[Row] = [(name.replace("_", " "), found.get(name)) for name in fields]
    training, bump, gates = (_object(found.get(name)) for name in ("training", "bump", "gates"))
    rows += [
        ("creator", found.get("creator")),
        ("registered", _joined(found.get("registered_at"), found.get("registered_by"))),
        ("bump", _joined(bump.get("level"), bump.get("rule"), bump.get("note"))),
        ("data", _object(training.get("dataset")).get("name")),
        ("artifact", _joined(found.get("artifact_digest"), found.get("artifact_state"))),
        ("gates", ("passed" if gates.get("passed") else "failed") if gates else ""),
        ("aliases", found.get("aliases")),
        (
            "serves",
            [
                f"{_object(one).get('environment')} {_object(one).get('percent')} %"
                for one in _list(found.get("rollouts"))
            ],
        ),
        ("notes", found.get("notes")),
        ("revision", found.get("revision")),
    ]
    title = f"{found.get('model', '')} {found.get('semver') or 'draft'}, number {found.get('number', '')}"
    return _fields(title, rows) + metrics(_list(found.get("evaluations")))


def diff(found: Mapping[str, Any]) -> str:
    """Return how two versions differ."""
    names = [
        f"{one.get('number')} ({one.get('semver') or 'draft'})"
        for one in (_object(found.get("old")), _object(found.get("new")))
    ]
    head = ("part", "level", "breaking", "change", "before", "after")
    rows = [
        (
            one.get("part"),
            one.get("level"),
            "yes" if one.get("breaking") else "",
            one.get("detail"),
            one.get("before"),
            one.get("after"),
        )
        for one in map(_object, _list(found.get("changes")))
    ]
    return _table(f"from {names[0]} to {names[1]}", head, rows)


def metrics(found: Sequence[Any]) -> str:
    """Return a table of metrics, "" without one."""
    head = ("metric", "value", "data", "primary", "independent")
    rows = [
        (
            one.get("name"),
            one.get("value"),
            one.get("dataset_name") or one.get("dataset_digest"),
            "yes" if one.get("primary") else "",
            "yes" if one.get("independent") else "",
        )
        for one in map(_object, found)
    ]
    return _table("metrics", head, rows) if rows else ""


def fields(title: str, values: Mapping[str, object]) -> str:
    """Return the named values that are not empty."""
    return _fields(title, list(values.items()))


def _fields(title: str, rows: Iterable[Row]) -> str:
    return _table(title, (), [row for row in rows if row[1] not in (None, "", [], {}, ())])


def _table(title: str, head: Row, rows: Sequence[Row]) -> str:
    lines = [f"<caption>{_text(title)}</caption>"]
    if head:
        lines.append(f"<tr>{''.join(f'<th>{_text(cell)}</th>' for cell in head)}</tr>")
    lines += [f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"<tr><td>{_text(f'and {len(rows) - MOST_ROWS} more')}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def _text(value: object) -> str:
    """Return a value as text of HTML, without characters that are not shown or turn the direction."""
    plain = _plain(value)
    cut = plain if len(plain) <= MOST_CHARACTERS else plain[:MOST_CHARACTERS] + " …"
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else "�" for c in cut))


def _plain(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case Mapping():
            return ", ".join(f"{name}: {_plain(one)}" for name, one in value.items())
        case list() | tuple():
            return ", ".join(map(_plain, value))
    return str(value)


def _joined(*values: Any) -> str:
    return ", ".join(_plain(one) for one in values if one)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else []
