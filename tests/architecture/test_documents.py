"""Links, paths, commands and Python in the documents exist."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest

import regista
from regista.cli import root
from services.artifact.settings import ArtifactSettings
from tools import error_codes

ROOT = Path(__file__).parents[2]
TEXTS = sorted(
    p
    for pattern in ("*.md", "docs/**/*.md", "sdk/*.md", "services/*/README.md", "schemas/**/*.md")
    for p in ROOT.glob(pattern)
    if p.is_file()
)
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
OPERATING = ROOT / "docs" / "operating.md"
INDEX = ROOT / "docs" / "decisions" / "README.md"
SHOWN = [ROOT / "README.md", ROOT / "sdk" / "README.md"]
MOST_LINES_OF_A_RECORD = 60
PARTS_OF_A_RECORD = ["Context", "Decision", "Consequences", "Alternatives"]

_BLOCK = re.compile(r"^```(?P<kind>\w*)[^\n`]*\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?P<to>[^)\s]+)\)")
_PATH = re.compile(r"`((?:services|shared|sdk|tests|docs|deploy|schemas|benchmarks)/[\w./-]*\w)(?:::\w+)?`")
_INLINE = re.compile(r"`regista ([^`]+)`")


def _id(path: Path | str) -> str:
    return path if isinstance(path, str) else str(path.relative_to(ROOT))


def _anchors(path: Path) -> set[str]:
    """The headings of a document as its links name them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", TEXTS, ids=_id)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in _LINK.findall(path.read_text("utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("path", TEXTS, ids=_id)
def test_every_path_that_is_named_exists(path: Path) -> None:
    assert [named for named in _PATH.findall(path.read_text("utf-8")) if not (ROOT / named).exists()] == []


@pytest.mark.parametrize("path", RECORDS, ids=_id)
def test_a_decision_record_has_its_four_parts_is_short_and_in_the_index(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MOST_LINES_OF_A_RECORD
    assert text.startswith(f"# {path.name[:4]} ")
    assert re.findall(r"^#+ (.*)$", _BLOCK.sub("", text), re.MULTILINE)[1:] == PARTS_OF_A_RECORD
    assert "\n**Checked by** " in text
    assert f"]({path.name})" in INDEX.read_text("utf-8")


@pytest.mark.parametrize("path", TEXTS, ids=_id)
def test_python_in_the_documents_is_python_and_names_what_there_is(path: Path) -> None:
    for block in _BLOCK.finditer(path.read_text("utf-8")):
        if block["kind"] != "python":
            continue
        compile(block["text"], str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(ast.parse(block["text"])):
            match node:
                case ast.Attribute(value=ast.Name(id="regista"), attr=name):
                    assert hasattr(regista, name), name
                case ast.ImportFrom(module=str(module), names=names):
                    assert [
                        a.name for a in names if not hasattr(importlib.import_module(module), a.name)
                    ] == []


def test_every_setting_of_artifact_is_documented() -> None:
    text = OPERATING.read_text("utf-8")
    assert [name for name in ArtifactSettings.model_fields if f"`{name.upper()}`" not in text] == []


def test_metrics_that_alerts_are_made_of_exist() -> None:
    code = "".join(
        path.read_text("utf-8") for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py")
    )
    section = OPERATING.read_text("utf-8").partition("## Metrics")[2].partition("\n## ")[0]
    named = {name.removesuffix("_total") for name in re.findall(r"regista_[a-z_]+", section)}
    assert named
    assert [name for name in sorted(named) if f'"{name}"' not in code] == []


def test_every_error_code_is_in_the_list() -> None:
    written = error_codes.DOCUMENT.read_text("utf-8")
    assert written == error_codes.document(), "write it again: .regista/venv/bin/python -m tools.error_codes"


def _command_lines() -> Iterator[tuple[str, str]]:
    """(document, what stands after `regista`) of every console line, also in `$(…)`."""
    for path in TEXTS:
        for block in _BLOCK.finditer(path.read_text("utf-8")):
            if block["kind"] == "console":
                for line in re.findall(r"^\$ (.+)$", block["text"], re.MULTILINE):
                    for piece in re.split(r"\s[|>&]+\s|\$\(|\)", line):
                        if piece.startswith("regista "):
                            yield _id(path), piece.removeprefix("regista ")


@pytest.mark.parametrize(("document", "line"), list(_command_lines()))
def test_every_command_that_is_shown_can_be_typed(
    document: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(line, comments=True)
    monkeypatch.chdir(tmp_path)
    for word in words:
        if word.endswith((".onnx", ".json", ".pem")):
            (tmp_path / word).touch()
    with ExitStack() as files:  # options that name files open them
        command: click.Command = root
        context = files.enter_context(root.make_context("regista", words))
        while isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
            name, found, arguments = command.resolve_command(context, rest)
            assert found is not None, f"{document}: there is no {line}"
            command, context = found, files.enter_context(found.make_context(name, arguments, parent=context))


@pytest.mark.parametrize("path", TEXTS, ids=_id)
def test_every_command_that_is_mentioned_exists(path: Path) -> None:
    for mentioned in _INLINE.findall(path.read_text("utf-8")):
        command: click.Command = root
        context = click.Context(root)
        for word in mentioned.split():
            if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z][a-z-]*", word):
                break
            found = command.get_command(context, word)
            assert found is not None, mentioned
            command = found
