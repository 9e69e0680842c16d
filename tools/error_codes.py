"""Write docs/errors.md from the code: every stable code of a refusal with its status and message."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.deciding import decider
from shared.http.problems import BASE, of_rule

ROOT = Path(__file__).parents[1]
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

Every refusal is a problem (RFC 9457, `application/problem+json`). Its `code` is stable, its `type` is
`{BASE}<code>`, and its `detail` states what to do next. `…` stands for a value. A refused registration lists
its problems field by field instead (`registration_refused`).

`python -m tools.error_codes` writes this page from the code.

| code | status | message | in |
|---|---|---|---|
"""


class Refusal(NamedTuple):
    """One refusal in the source."""

    code: str
    status: int
    detail: str
    service: str


def refusals() -> Iterator[Refusal]:
    """Yield each refusal whose code is written in the source."""
    for path in (path for folder in ("shared", "services") for path in sorted((ROOT / folder).rglob("*.py"))):
        top, service, *_ = path.relative_to(ROOT).parts
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if found := _refusal(*_called(node)):
                yield Refusal(*found, service if top == "services" else "every service")


def _called(node: ast.AST) -> tuple[str, list[ast.expr]]:
    """Return a call's name and arguments; a subclass's `super().__init__` counts as a call of its base."""
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
    text = _text(code)
    return (text, status, _text(detail)) if text.strip("…") else None


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case _:
            return "…"


def document() -> str:
    """Return the page: a line per code and status, with the first message that is not only a value."""
    rows: dict[tuple[str, int], tuple[str, set[str]]] = {}
    for code, status, detail, service in refusals():
        text, services = rows.get((code, status), ("", set()))
        rows[code, status] = (
            text or (detail.strip("…") and detail.replace("|", "\\|")),
            services | {service},
        )
    return HEAD + "".join(
        f"| `{code}` | {status} | {detail} | {', '.join(sorted(services))} |\n"
        for (code, status), (detail, services) in sorted(rows.items())
    )


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
