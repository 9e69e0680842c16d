"""Write tables as CSV in which no cell is a formula for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?|[+-]?(inf|nan)|-", re.ASCII)


def csv_text(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a line of titles and a line for each row."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow([no_formula(title) for title in titles])
    lines.writerows([[no_formula(cell) for cell in row] for row in rows])
    return written.getvalue()


def no_formula(cell: str) -> str:
    """Return a cell with an apostrophe before text that a spreadsheet would calculate."""
    return f"'{cell}" if cell.startswith(tuple("=+-@\t\r")) and not _NUMBER.fullmatch(cell) else cell
