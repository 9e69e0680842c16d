"""Write the declarations of the synchronous client's calls: those of `AsyncClient`, without `async`.

Editors and type checkers read them; at run time `regista.client.sync_calls` makes the methods. The text of
the asynchronous client is read, not imported: it imports the shapes, which are written together with this.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "sdk" / "src"
HEAD = '''"""{} For editors and type checkers.

`python -m tools.contracts` writes this file.
"""
'''
CLIENT = "from regista.client.async_client import AsyncClient"
PUBLICATION = "from regista.client.publication import Publication"
FUNCTIONS = ("publish", "load")
"""The calls that are functions of `regista`, too."""
ONLY_ASYNCHRONOUS = {"close_at_exit", "pages"}


@dataclass(frozen=True, slots=True)
class _Module:
    """A module of the client: its statements, and where its names come from."""

    name: str
    body: Sequence[ast.stmt]
    imported: Mapping[str, tuple[str, str]]
    """Module and name there of each imported name."""

    def class_(self, name: str) -> ast.ClassDef:
        return next(node for node in self.body if isinstance(node, ast.ClassDef) and node.name == name)


@dataclass(frozen=True, slots=True)
class _Call:
    node: ast.AsyncFunctionDef
    module: _Module
    docstring: str

    @property
    def overloaded(self) -> bool:
        return bool(self.node.decorator_list)


def calls() -> str:
    """Return the declarations of the calls of `Client`."""
    found = _calls()
    members = "class SyncCalls:\n    asynchronous: AsyncClient\n"
    methods = [textwrap.indent(_declared(call, call.node.args), "    ") for call in found]
    head = HEAD.format("The calls of `Client`.")
    return "\n".join([head, CLIENT, *_imports_of(found), members, *methods])


def functions() -> str:
    """Return the declarations of `regista.publish` and `regista.load`."""
    found = [call for call in _calls() if call.node.name in FUNCTIONS]
    declared = [_declared(call, _without_self(call.node.args)) for call in found]
    return "\n".join([HEAD.format("`regista.publish` and `regista.load`."), *_imports_of(found), *declared])


def _calls() -> Sequence[_Call]:
    """Return the calls, in the order in which the classes define them.

    Of a call that is declared in several forms these are returned, and not its implementation.
    """
    found = list(_of_class(_module("regista.client.async_client"), "AsyncClient", set()))
    texts = {call.node.name: call.docstring for call in found if not call.overloaded}
    overloaded = {call.node.name for call in found if call.overloaded}
    return [
        replace(call, docstring=texts[call.node.name])
        for call in found
        if call.overloaded or call.node.name not in overloaded
    ]


def _of_class(module: _Module, name: str, seen: set[str]) -> Iterator[_Call]:
    """Yield the calls of the bases of a class, each class once, then its own."""
    class_ = module.class_(name)
    for base in class_.bases:
        if isinstance(base, ast.Name) and base.id in module.imported and base.id not in seen:
            seen.add(base.id)
            yield from _of_class(_module(module.imported[base.id][0]), base.id, seen)
    for node in class_.body:
        if isinstance(node, ast.AsyncFunctionDef) and not _hidden(node):
            yield _Call(node, module, ast.get_docstring(node) or "")
    yield from _former(module, class_)


def _hidden(node: ast.AsyncFunctionDef) -> bool:
    """Return whether a method is no call of both clients."""
    return node.name.startswith("_") or node.name in ONLY_ASYNCHRONOUS


def _former(module: _Module, class_: ast.ClassDef) -> Iterator[_Call]:
    """Yield the calls of a class by their former names."""
    methods = {node.name: node for node in class_.body if isinstance(node, ast.AsyncFunctionDef)}
    for node in class_.body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("former"), [_, ast.Name(present)])):
                named = ast.AsyncFunctionDef(**dict(ast.iter_fields(methods[present])) | {"name": name})
                named.decorator_list = []
                yield _Call(named, module, f"Call `{present}`: this is its former name.")


def _module(name: str) -> _Module:
    path = SOURCES.joinpath(*name.split(".")).with_suffix(".py")
    body = ast.parse(path.read_text("utf-8")).body
    found = [node for node in body if isinstance(node, ast.ImportFrom)]
    return _Module(
        name, body, {a.asname or a.name: (str(node.module), a.name) for node in found for a in node.names}
    )


def _declared(call: _Call, arguments: ast.arguments) -> str:
    node, docstring = call.node, call.docstring
    returns = ast.unparse(node.returns) if node.returns else "None"
    returns = "Publication" if returns == "AsyncPublication" else returns
    returns = returns.replace("AsyncGenerator[", "Iterator[")
    end = "\n" if "\n" in docstring else ""
    body = textwrap.indent(f'"""{docstring}{end}"""', "    ")
    decorators = [f"@{ast.unparse(one)}" for one in node.decorator_list]
    return "\n".join([*decorators, f"def {node.name}({ast.unparse(arguments)}) -> {returns}:", body])


def _without_self(arguments: ast.arguments) -> ast.arguments:
    copy = ast.arguments(**dict(ast.iter_fields(arguments)))
    copy.args = arguments.args[1:]
    return copy


def _imports_of(calls: Sequence[_Call]) -> list[str]:
    return [PUBLICATION, *sorted({line for call in calls for line in _imports(call)})]


def _imports(call: _Call) -> Iterator[str]:
    """Yield the imports of what the annotations name."""
    node, module = call.node, call.module
    annotations = [*node.decorator_list, *(a.annotation for a in (*node.args.args, *node.args.kwonlyargs))]
    names = {
        inner.id
        for one in (*annotations, node.returns)
        if one is not None
        for inner in ast.walk(one)
        if isinstance(inner, ast.Name)
    }
    own = {ast.unparse(target) for one in module.body for target in _targets(one)}
    if "AsyncGenerator" in names:
        yield "from collections.abc import Iterator"
    for name in sorted(names - {"AsyncPublication", "AsyncGenerator"}):
        if name in module.imported:
            source, there = module.imported[name]
            yield f"from {source} import {there}" + ("" if there == name else f" as {name}")
        elif name in own:
            yield f"from {module.name} import {name}"


def _targets(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield the names that a statement of a module binds."""
    match statement:
        case ast.Assign(targets=targets):
            yield from targets
        case ast.AnnAssign(target=target):
            yield target
        case ast.ClassDef(name=name):
            yield ast.Name(name)
