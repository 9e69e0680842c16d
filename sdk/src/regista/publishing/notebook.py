"""The code of a notebook: the cells that define what the present cell uses.

A cell defines a name by an assignment, a function, a class, a loop or `with … as`. A later cell changes it by
assigning to a part of it, or by calling a method of it (`model.fit(X, y)`). The code of a run is the present
cell, the cells that define or change the names it uses, the cells that these use, and so on. Other cells
and imports are not part of it. A cell that was run several times counts once.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

RUN_CODE = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Cell magics whose cell is Python code."""


def cells_run() -> list[str]:
    """Return the texts of the cells run so far, the present one last; none outside a notebook."""
    main = sys.modules.get("__main__")
    cells = getattr(main, "In", None)
    return [str(cell) for cell in cells] if isinstance(cells, list) and hasattr(main, "get_ipython") else []


def code_of_present_cell(texts: Sequence[str]) -> list[str]:
    """Return the texts of the cells that make the code of the last one, sorted, each once."""
    cells = [_read(text) for text in texts]
    needed: set[tuple[int, int]] = set()
    wanted = [(len(cells) - 1, len(cells) - 1)] if cells else []
    while wanted:  # a cell, and the one that runs its functions
        index, caller = wanted.pop()
        if (index, caller) not in needed:
            needed.add((index, caller))
            wanted += [
                (found, index) for name in cells[index].now for found in _definers(cells, name, index - 1)
            ]
            wanted += [
                (found, caller) for name in cells[index].later for found in _definers(cells, name, caller)
            ]
    return sorted({cells[index].text for index, _ in needed} - {""})


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell: its text, and the names that it binds, imports, changes, uses now, and uses in functions."""

    text: str
    binds: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    now: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()


def _definers(cells: Sequence[_Cell], name: str, last: int) -> Iterator[int]:
    """Return the cell that bound a name last, and those that changed it since, up to the cell `last`.

    An import binds a name to a library: no cell defines it, and calling its functions changes nothing here.
    """
    bound = next((index for index in range(last, -1, -1) if name in cells[index].binds), None)
    if bound is None or name in cells[bound].imports:
        return
    yield bound
    yield from (index for index in range(bound + 1, last + 1) if name in cells[index].changes)


def _read(text: str) -> _Cell:
    try:
        body = ast.parse(_python(text)).body
    except (SyntaxError, ValueError):  # it did not run, or is another language
        return _Cell("")
    names = _Names()
    for statement in body:
        names.visit(statement)
    return _Cell(
        "\n".join(line.rstrip() for line in text.strip().splitlines()),
        frozenset(names.binds),
        frozenset(names.imports),
        frozenset(names.changes),
        frozenset(names.now),
        frozenset(names.later - names.binds),
    )


def _python(text: str) -> str:
    """Return the Python code of a cell: without magics and commands of the shell."""
    lines = text.strip().splitlines()
    if lines and lines[0].startswith("%%"):
        if not lines[0].startswith(RUN_CODE):
            return ""
        lines = lines[1:]
    return "\n".join("pass" if line.startswith(("%", "!", "?")) else line for line in lines)


class _Names(ast.NodeVisitor):
    """Collect the names of statements, in the order in which they run."""

    def __init__(self) -> None:
        self.binds: set[str] = set()
        self.imports: set[str] = set()
        self.changes: set[str] = set()
        self.now: set[str] = set()
        self.later: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.binds.add(node.id)
        elif node.id not in self.binds:
            self.now.add(node.id)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        found = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        self.binds |= found
        self.imports |= found

    visit_ImportFrom = visit_Import  # noqa: N815 - the name that `ast` calls

    def visit_Assign(self, node: ast.Assign) -> None:
        self._in_order([node.value, *node.targets])
        self._changed(node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._in_order([node.annotation, *([node.value] if node.value else []), node.target])
        self._changed([node.target])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.binds:
            self.now.add(node.target.id)
        self._in_order([node.value, node.target])
        self._changed([node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._in_order([node.value, node.target])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._in_order([node.iter, node.target, *node.body, *node.orelse])

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        self._changed([node.func])
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._changed(node.targets)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._in_order([*node.decorator_list, *_defaults(node.args)])
        self.binds.add(node.name)
        self._function(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._in_order(_defaults(node.args))
        self._function(node.args, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._in_order([*node.decorator_list, *node.bases, *node.keywords])
        inner = self._inner(node.body)
        self.now |= inner.now - self.binds
        self.later |= inner.later
        self.binds.add(node.name)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        inner = _Names()
        for part in node.generators:
            inner._in_order([part.iter, part.target, *part.ifs])
        inner._in_order(values)
        self.now |= inner.now - self.binds
        self.later |= inner.later

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp  # noqa: N815

    def _in_order(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _changed(self, nodes: Iterable[ast.AST]) -> None:
        """Note the names of which these expressions are a part: `frame["x"]`, `model.fit`."""
        for node in nodes:
            if isinstance(node, ast.Tuple | ast.List):
                self._changed(node.elts)
            root = node
            while isinstance(root, ast.Attribute | ast.Subscript | ast.Starred):
                root = root.value
            if root is not node and isinstance(root, ast.Name):
                self.changes.add(root.id)

    def _inner(self, body: Sequence[ast.AST]) -> _Names:
        inner = _Names()
        inner._in_order(body)
        return inner

    def _function(self, arguments: ast.arguments, body: Sequence[ast.AST]) -> None:
        inner = self._inner(body)
        every = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        local = inner.binds | {argument.arg for argument in every if argument is not None}
        self.later |= (inner.now | inner.later) - local


def _defaults(arguments: ast.arguments) -> list[ast.AST]:
    return [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]
