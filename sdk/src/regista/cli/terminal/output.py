"""How commands print values: tables, fields, CSV, YAML, times, and text without control characters.

Everything that a command prints goes through `say` or a table: nothing foreign controls the terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from regista.wire.csv_text import csv_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Column = tuple[str, Any]
"""The title of a column, and the key of its value or a function of the item."""
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LABELS = {"subject": "identity"}
"""What people read for fields whose stored name means something else to them (docs/words.md)."""
FORMATS = ("json", "yaml", "csv", "wide", "name")


def to_the_second(time: Any) -> str:
    """Return a service's time without fractions, in a form that `--at` accepts; "" for None."""
    text = str(time or "")
    return f"{text[:19]}Z" if text.endswith(("Z", "+00:00")) else text


def printable(value: object) -> str:
    """Return text without control characters but newlines and tabs: it must not control the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in str(value))


def say(value: object, *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print text without control characters, on stderr with `err`. `style` is that of `click.style`."""
    click.secho(printable(value), err=err, nl=nl, color=colors(), **style)


def colors() -> bool | None:
    """Return click's `color` argument: None means colors on a terminal only.

    NO_COLOR and CLICOLOR=0 turn colors off, CLICOLOR_FORCE turns them on in a pipe, too; NO_COLOR wins.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        return True
    return False if os.environ.get("CLICOLOR") == "0" else None


def console(file: TextIO | None = None, width: int | None = None) -> Console:
    """Return a console of rich for `file` (stdout) with the same choice of colors as `say`."""
    from rich.console import Console  # noqa: PLC0415 - a pipe needs no rich

    plain = Console(file=file, highlight=False, width=width, color_system=None)
    return plain if colors() is False else Console(file=file, highlight=False, width=width)


def print_table(items: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, wide: bool = False) -> None:
    """Print a table: aligned on a terminal, tab-separated elsewhere. `wide` does not fold long cells."""
    rows = [[_cell(item, key) for _, key in columns] for item in items]
    if not sys.stdout.isatty():
        say("\t".join(title for title, _ in columns))
        for row in rows:
            say("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    cells = [[Text(cell) for cell in row] for row in [[title for title, _ in columns], *rows]]
    longest = [max(_width(row[n]) for row in cells) for n in range(len(columns))]
    shortest = [max(map(len, title.split())) for title, _ in columns]  # folded between words only
    for n in range(len(columns)):  # an id stays whole, to be copied
        shortest[n] = max(shortest[n], *(len(row[n]) for row in rows if _ID.fullmatch(row[n])), 0)
    width, gap = console().width, 3
    if not wide and sum(shortest) + gap * (len(columns) - 1) + 2 > width:
        gap = 1
    between = gap * (len(columns) - 1) + 2
    wide = wide or sum(shortest) + between > width  # then the terminal folds the lines, and nothing is cut
    widths = longest if wide else fitted(longest, shortest, width - between)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap // 2))
    for (title, _), one in zip(columns, widths, strict=True):
        table.add_column(title, overflow="fold", width=one)
    for line in cells[1:]:
        table.add_row(*line)
    console(width=sum(widths) + between).print(table)


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split()), default=0)


def fitted(longest: Sequence[int], shortest: Sequence[int], total: int) -> list[int]:
    """Return widths of columns with the sum `total` or less: the widest give way, down to their shortest."""
    widths = [max(least, min(most, total)) for most, least in zip(longest, shortest, strict=True)]
    while sum(widths) > total:
        widest = max(range(len(widths)), key=lambda n: (widths[n] > shortest[n], widths[n]))
        if widths[widest] == shortest[widest]:
            break
        widths[widest] -= 1
    return widths


def print_fields(item: Mapping[str, Any]) -> None:
    """Print the fields of an object without empty ones: aligned on a terminal, tab-separated elsewhere."""
    fields = {
        one_line(LABELS.get(name, name.replace("_", " "))): text(value)
        for name, value in item.items()
        if value not in (None, "", [], {})
    }
    if not sys.stdout.isatty():
        for name, value in fields.items():
            first, *others = value.split("\n")
            say("\n".join([f"{name}\t{first}", *(f"\t{line}" for line in others)]))
        return
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(Text(name), Text(value))
    console().print(table)


def as_csv(items: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """Return a table as CSV with a line of titles. No cell is a formula for a spreadsheet."""
    titles = [one_line(title) for title, _ in columns]
    return csv_text(titles, ([_cell(item, key) for _, key in columns] for item in items)).rstrip("\n")


def as_json(value: Any) -> str:
    """Return a value as indented JSON. Characters that control a terminal are escaped, also C1 and bidi."""
    return _escaped(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _escaped(dumped: str, *, wide: str = "") -> str:
    """Return JSON with every character escaped that is not printable, except the newlines between values.

    `wide` is the format of an escape above U+FFFF, "" for a pair of surrogates as in JSON.
    """
    return "".join(c if c.isprintable() or c == "\n" else _escape(ord(c), wide) for c in dumped)


def _escape(code: int, wide: str) -> str:
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return wide.format(code) if wide else json.dumps(chr(code)).strip('"')


def as_yaml(value: Any, indent: str = "") -> str:
    """Return a JSON value as YAML."""
    return "\n".join(_yaml(json.loads(json.dumps(value, default=str)), indent))


def _yaml(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _yaml_entry(f"{indent}{_scalar(name)}:", inner, f"{indent}  ")
    elif isinstance(value, list) and value:
        for inner in value:
            first, *others = _yaml(inner, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from others
    else:
        yield f"{indent}{_scalar(value)}"


def _yaml_entry(head: str, inner: Any, indent: str) -> Iterator[str]:
    if isinstance(inner, Mapping | list) and inner:
        yield head
        yield from _yaml(inner, indent)
    else:
        yield f"{head} {_scalar(inner)}"


def _scalar(value: Any) -> str:
    """Return a value in YAML's JSON notation; simple words need no quotes."""
    if isinstance(value, str) and value.replace("_", "").replace("-", "").isascii():
        word = value.replace("_", "a").replace("-", "a")
        if word.isalpha() and value[0].isalpha() and value.lower() not in _YAML_WORDS:
            return value
    return _escaped(json.dumps(value, ensure_ascii=False), wide="\\U{:08x}")


_YAML_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _cell(item: Mapping[str, Any], key: Any) -> str:
    return text(item.get(key) if isinstance(key, str) else key(item))


def text(value: Any) -> str:
    """Return a value as people read it; nested values become indented lines."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list) and all(isinstance(v, str | int) for v in value):
        return ", ".join(one_line(str(v)) for v in value)
    if isinstance(value, Mapping | list):
        return "\n".join(_lines(value))
    return one_line(value)


def one_line(value: Any) -> str:
    """Return text without any control characters."""
    shown = str(value) if not isinstance(value, bool) else "yes" if value else "no"
    return "".join(c if c.isprintable() else "�" for c in shown)


def _lines(value: Any) -> list[str]:
    """Return nested values as indented lines, without empty ones."""
    if isinstance(value, Mapping):
        lines = []
        for field, inner in value.items():
            if inner in (None, "", [], {}):
                continue
            name = LABELS.get(field, field)
            shown = _lines(inner)
            nested = isinstance(inner, Mapping | list) and len(shown) > 1
            lines += (
                [f"{one_line(name)}:", *(f"  {line}" for line in shown)]
                if nested
                else [f"{one_line(name)}: {shown[0]}"]
            )
        return lines or ["-"]
    if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        return [", ".join(one_line(v) for v in value)]
    if isinstance(value, list):
        return [line for inner in value for line in _bullet(_lines(inner))] or ["-"]
    return [one_line(value)]


def _bullet(lines: list[str]) -> list[str]:
    return [f"{'- ' if n == 0 else '  '}{line}" for n, line in enumerate(lines)]
