"""docs/errors.md, from the code: every stable code of a refusal, its status, and what it says.

`python -m tools.error_codes` writes it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.deciding import decider
from shared.http.problems import BASE, of_rule

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "errors.md"
KINDS = {
    kind.__name__: kind
    for kind in (
        decider.RuleBroken,
        decider.NotFound,
        decider.Stale,
        decider.Unprocessable,
        decider.Forbidden,
    )
}
HEAD = f"""# Error codes

Every refusal is a problem (RFC 9457, `application/problem+json`): its `code` is stable, its `type` is `{BASE}<code>`, its `detail` says what to do next. `…` stands for what is
filled in. Written by `python -m tools.error_codes` from the code; a refused registration names its problems field by field instead (`registration_refused`).

| code | status | says | in |
|---|---|---|---|
"""


class Refusal(NamedTuple):
    """One place that refuses."""

    code: str
    status: int
    detail: str
    place: str


def refusals() -> Iterator[Refusal]:
    """Every refusal whose code stands in the source."""
    for path in (path for folder in ("shared", "services") for path in sorted((ROOT / folder).rglob("*.py"))):
        top, service, *_ = path.relative_to(ROOT).parts
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if found := _refusal(*_called(node)):
                yield Refusal(*found, service if top == "services" else "every service")


def _called(node: ast.AST) -> tuple[str, list[ast.expr]]:
    """A call's name and arguments; what a kind of refusal hands to `super().__init__` counts as that of its base."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return name, arguments
        case ast.ClassDef(bases=[ast.Name(id=name)]) if name in KINDS:
            inner = [
                n
                for n in ast.walk(node)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == "__init__"
            ]
            return name, inner[0].args if inner else []
        case _:
            return "", []


def _refusal(name: str, arguments: list[ast.expr]) -> tuple[str, int, str] | None:
    match name, arguments:
        case "Problem", [ast.Constant(value=int(status)), code, detail, *_]:
            pass
        case kind, [code, detail, *_] if kind in KINDS:
            status = of_rule(KINDS[kind]("", "")).status
        case _:
            return None
    said = _text(code)
    return (said, status, _text(detail)) if said.strip("…") else None


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case _:
            return "…"


def document() -> str:
    """The page: one line a code and status, with the first text that is more than filled in."""
    told: dict[tuple[str, int], tuple[str, set[str]]] = {}
    for code, status, detail, place in refusals():
        before, places = told.get((code, status), ("", set()))
        told[code, status] = (before or (detail.strip("…") and detail.replace("|", "\\|")), places | {place})
    return HEAD + "".join(
        f"| `{code}` | {status} | {detail} | {', '.join(sorted(places))} |\n"
        for (code, status), (detail, places) in sorted(told.items())
    )


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
