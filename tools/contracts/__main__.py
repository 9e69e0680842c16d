"""Write schemas/, and the types of the client, from the code.

This refuses a change that breaks readers or writers of a published version: publish a new version instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tools.contracts.compare import breaking
from tools.contracts.documents import Document, everything

ROOT = Path(__file__).parents[2] / "schemas"


def text_of(document: Document) -> str:
    if isinstance(document.content, str):
        return document.content
    return json.dumps(document.content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def problems_of(document: Document, root: Path = ROOT) -> list[str]:
    """Return what writing this document would break."""
    path = root / document.path
    if not path.exists():
        return []
    if isinstance(document.content, str):
        return []
    old = json.loads(path.read_text("utf-8"))
    if document.path.startswith("stored/"):
        return (
            []
            if old == document.content
            else [
                f"{document.path}: the stored event changed: give the class the next SCHEMA and an upcaster"
            ]
        )
    if document.path.startswith("vectors/"):
        return [f"{document.path}: {why}" for why in _changed(old, document.content)]
    return (
        [f"{document.path}: {why}" for why in breaking(old, document.content, document.side)]
        if document.side
        else []
    )


def _changed(old: Any, new: Any) -> list[str]:
    """Return which test vectors changed: other languages are tested with them. New ones may be added."""
    cases = [{case["name"]: case for case in one.get("cases", ())} for one in (old, new)]
    changed = [name for name, case in cases[0].items() if cases[1].get(name) != case]
    rest = [{name: value for name, value in one.items() if name != "cases"} for one in (old, new)]
    return [f"the vector {name!r} changed" for name in changed] + (
        ["the key changed"] if rest[0] != rest[1] else []
    )


def main() -> None:
    documents = list(everything())
    problems = [problem for document in documents for problem in problems_of(document)]
    if problems:
        sys.exit("Nothing written. Add a new version beside the published one for:\n" + "\n".join(problems))
    for document in documents:
        path = ROOT / document.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(document), "utf-8")
    sys.stdout.write(f"{len(documents)} documents in {ROOT.name}/ and the client\n")


if __name__ == "__main__":
    main()
