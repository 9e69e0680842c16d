"""The runbook has each reason of readiness, each code of a dead letter, and answers for each symptom."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.log.projector import Superseded
from shared.messaging.dead_letter_records import NOT_AUTHENTIC, TOO_LARGE
from tools.error_codes import _called, _refusal

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbook.md").read_text("utf-8")
ANSWERS = ("You see", "It means", "Do now", "Over when", "Not affected")
SECTIONS = {title: text for title, _, text in (s.partition("\n") for s in PAGE.split("\n## ")[1:])}
WITHOUT_ANSWERS = {"First look", "Dead letters", "Readiness reasons"}
"""Overviews: their tables have the answers."""
INBOUND = (
    "shared/deciding/access.py",
    "shared/deciding/submission.py",
    "shared/log/batch.py",
    "services/registry/look_ups.py",
    "services/registry/trained_message.py",
    "services/registry/domain/naming/name.py",
    "services/registry/domain/registration/*.py",
    "services/cleanup/domain/waiting_reports.py",
)
"""Where the rules are that a publisher's message can break."""
OF_A_STOPPED_LOG = (
    "the log lacks an event",
    "transaction id is not above",
    "events are missing",
    "continue the",
)
"""What the reader of a stopped log reports; it is composed in several places."""


def spans(text: str) -> list[str]:
    """Return what stands in code marks."""
    return re.findall(r"`([^`]+)`", text)


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table of a section."""
    lines = [line for line in SECTIONS[title].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("title", sorted(set(SECTIONS) - WITHOUT_ANSWERS))
def test_a_section_answers_the_five_questions_in_order(title: str) -> None:
    assert tuple(re.findall(r"^- \*\*([\w ]+)\*\*", SECTIONS[title], re.MULTILINE)) == ANSWERS


def test_every_section_is_in_the_table_of_symptoms() -> None:
    table = PAGE.partition("\n## ")[0]
    linked = set(re.findall(r"\]\(#([\w-]+)\)", table))
    wanted = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in SECTIONS}
    assert wanted - linked == {"first-look", "an-invariant-is-broken", "restore-a-backup"} - linked


# -- dead letters


def _codes_of_the_kernel() -> Iterator[str]:
    yield from (NOT_AUTHENTIC, TOO_LARGE)
    for node in ast.walk(ast.parse((ROOT / "shared/messaging/consumer.py").read_text("utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="_dead_letter" | "add"), args=[*_, ast.Constant(value=str(code))]
            ):
                yield code
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.IfExp(orelse=ast.Constant(value=code))):
                yield str(code)


def _codes_of_rules() -> Iterator[str]:
    for path in (path for pattern in INBOUND for path in sorted(ROOT.glob(pattern))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if found := _refusal(*_called(node)):
                yield found[0]


def test_the_table_of_dead_letters_has_each_code_and_no_other() -> None:
    kernel = set(_codes_of_the_kernel())
    assert kernel == {"not_authentic", "too_large", "malformed", "unreadable", "failed"}
    assert sorted(spans(cells[0])[0] for cells in rows("Dead letters")) == sorted(
        kernel | set(_codes_of_rules())
    )


# -- readiness


def _template(node: ast.expr, names: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_template(part, names) for part in parts).replace("…: …", "…")
        case ast.FormattedValue(value=ast.Name(id=name)) | ast.Name(id=name) if name in names:
            return names[name]
        case _:
            return "…"


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


def _reported(node: ast.AST) -> tuple[ast.expr | None, ast.expr] | None:
    """Return (part, reason) of a statement that reports why a part cannot work."""
    match node:
        case ast.Call(func=ast.Attribute(attr="wait"), args=[part, reason]):
            return part, reason
        case ast.Call(func=ast.Attribute(attr="_on_state"), args=[reason]):
            return None, reason
        case ast.Raise(exc=ast.Call(func=ast.Name(id="TimeoutError"), args=[reason])):
            return None, reason
        case _:
            return None


def _reasons() -> set[tuple[str, str]]:
    """Return (part, reason) of the source, with … for values; the part is "" where the source composes it."""
    found = set()
    files = [*(ROOT / "shared").rglob("*.py"), *(ROOT / "services").glob("[a-km-z]*/**/*.py")]
    for path in files:
        if path.name in {"due_runner.py", "standing.py", "readiness.py"}:
            continue  # they pass reasons on, or concern due work
        tree = ast.parse(path.read_text("utf-8"))
        names = _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "_unread":  # of a partition
                found |= {
                    ("", _template(one.value, names)) for one in node.body if isinstance(one, ast.Assign)
                }
            if (reported := _reported(node)) is not None:
                part, reason = reported
                found.add((_template(part, names) if part else "", _template(reason, names)))
    return {(part.strip("…/"), reason) for part, reason in found if len(reason.replace("…", "").split()) > 1}


def _parts_checked() -> set[str]:
    """Return the names of the checks, of the kernel and of the services."""
    found = set()
    for path in [ROOT / "shared" / "checks.py", *ROOT.glob("services/*/service.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.keyword(arg="checks", value=ast.Dict(keys=keys)):
                    found |= {key.value for key in keys if isinstance(key, ast.Constant)}
                case ast.AnnAssign(target=ast.Attribute(attr="_checks"), value=ast.Dict(keys=keys)):
                    found |= {key.value for key in keys if isinstance(key, ast.Constant)}
    return {str(name) for name in found} | {"log"}


def test_the_table_of_readiness_has_each_reason_of_the_source() -> None:
    reasons = _reasons() | {("postgres", str(Superseded.__doc__).splitlines()[0])}
    assert len(reasons) > 20
    table = rows("Readiness reasons")
    missing = [
        (part, reason)
        for part, reason in sorted(reasons)
        if not any(part in cells[0] and any(reason in span for span in spans(cells[1])) for cells in table)
    ]
    assert missing == []


def test_the_table_of_readiness_has_no_reason_that_is_not_in_the_source() -> None:
    reasons = [reason for _, reason in _reasons()] + [str(Superseded.__doc__).splitlines()[0]]
    unknown = [
        span
        for cells in rows("Readiness reasons")
        for span in spans(cells[1])
        if not any(reason in span for reason in reasons)
        and not span.startswith("cannot be used (")
        and not any(form in span for form in OF_A_STOPPED_LOG)
    ]
    assert unknown == []


def test_the_table_of_readiness_has_each_part_that_is_checked() -> None:
    named = {part for cells in rows("Readiness reasons") for part in spans(cells[0])}
    assert _parts_checked() - named == set()
    assert {"postgres", "identities", "log", "object store", "sealing", "invariants"} <= _parts_checked()
