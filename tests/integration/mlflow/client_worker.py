"""Run Python with the real `mlflow` client: one program per line of standard input, as JSON.

Its last expression, or its exception, is the line that is answered. It runs in an environment of its own.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from typing import Any


def answer(program: str, names: dict[str, Any]) -> dict[str, Any]:
    """Return the value of the last expression, or what was raised."""
    tree = ast.parse(program)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    try:
        exec(compile(tree, "<test>", "exec"), names)  # noqa: S102 - the programs of the tests
        value = eval(compile(ast.Expression(last.value), "<test>", "eval"), names) if last else None  # noqa: S307
    except Exception as error:  # noqa: BLE001 - every exception is an answer
        return {
            "raised": type(error).__name__,
            "code": getattr(error, "error_code", None),
            "text": str(error),
        }
    return {"value": value}


def main() -> None:
    """Answer until standard input ends. What the client prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    names: dict[str, Any] = {}
    for line in sys.stdin:
        out.write(json.dumps(answer(json.loads(line), names), default=str) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
