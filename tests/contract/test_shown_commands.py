"""Every `regista` command that the help, the READMEs and docs/ show runs, and sends what the services take.

The services are a stand-in made from their OpenAPI documents. NOT_RUN has the commands that need real bytes,
signatures or servers, and the tests that run those.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from regista.cli import root
from tests.services_by_contract import DIGEST, ID, KEY_ID, ByContract, services_by_contract

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "sdk" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```console\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
ABBREVIATED = {
    r"sha256:…": DIGEST,
    r"\b(?:7K2M|5TJ|9XQ)…": KEY_ID,
    r"\bmodel-0198…": f"model-{ID}",
    r"\b01[0-9a-f]{2,6}(?:-7a31)?(?:-…|…)": ID,
    r"demo\.biopsies-…": "demo.biopsies-1",
}
"""What stands abbreviated in examples, and what it is replaced by."""
NOT_RUN = {
    "make ": "starts servers, tests or the demo; `.ci/run` and the acceptance test run these",
    "pip ": "installs packages; `.ci/run` does",
    "export ": "sets variables of the reader's shell",
    "curl ": "not `regista`: tests/contract/test_from_any_language.py",
    "python -m shared.migrate": "tests/integration/kernel/test_epochs.py",
    "pg_restore": "tests/integration/kernel/test_epochs.py",
    "regista login": "needs an issuer: tests/integration/signin",
    "regista --profile ann login": "needs an issuer: tests/integration/signin",
    "regista up": "starts servers: tests/integration/local and tests/integration/signin",
    "regista doctor": "reads the servers of an instance: tests/integration/local",
    "regista restore": "changes the database of an instance: tests/integration/local",
    "regista --profile barbara": "a profile of the demo; its command is an example of its own",
    "REGISTA_PROFILE=training-pipeline python": "tests/integration/sdk/test_examples.py runs the program",
    "regista events": "follows signed events: tests/unit/sdk/test_events_followed.py and tests/integration",
    "regista kafka": "talks to a Kafka cluster: tests/integration/local",
    "regista versions download": "verifies bytes: tests/unit/sdk/test_offline.py",
    "regista audit log-checkpoints --save": "verifies signatures: tests/integration/audit/test_published.py",
    "regista audit check": "verifies signatures: tests/integration/audit/test_published.py",
    "regista audit proof": "verifies a proof: tests/integration/audit/test_published.py",
    "regista audit verify-proof": "verifies a proof: tests/integration/audit/test_published.py",
    "regista import azureml": "reads a workspace of Azure ML: tests/integration/sdk/test_azureml.py",
    "regista import mlflow": "reads an MLflow server: tests/integration/sdk/test_import_mlflow.py",
    "regista import sagemaker": "reads SageMaker and S3: tests/integration/sdk/test_sagemaker.py",
    "regista mirror check": "waits until a check has ended: tests/integration/sdk/test_mirror.py",
    "regista witness": "verifies signatures: tests/integration/audit/test_published.py",
    "regista history verify": "verifies files: tests/integration/audit/test_history_service.py",
}
"""Lines that this test does not run, by how they begin: why, or where they run against real services."""
CONFIRMED = re.compile(
    rf"regista (?:approve {ID}$|access erase-name|reinstate --withdrawal|rollback .*--from)"
)
"""Commands that a person confirms on a terminal: the test answers y."""
ANSWERED = """
import os, pty, sys
answers = iter([b"y\\n"])
def read(fd):
    try:
        return next(answers)
    except StopIteration:
        return os.read(fd, 1024)
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], stdin_read=read)))
"""


class Shown(NamedTuple):
    """Lines that belong together: the examples of one command, or one block of a document."""

    where: str
    lines: tuple[str, ...]


def _help(command: click.Command, words: tuple[str, ...], context: click.Context) -> Iterator[Shown]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _help(inner, (*words, name), click.Context(inner, parent=context))
    elif command.epilog:
        examples = [line.strip() for line in command.epilog.splitlines() if line.startswith("  ")]
        yield Shown(f"regista {' '.join(words)} --help", tuple(examples))


def _documents() -> Iterator[Shown]:
    for path in DOCUMENTS:
        for number, block in enumerate(_BLOCK.finditer(path.read_text("utf-8")), 1):
            text = block["text"].replace("\\\n", " ")
            lines = re.findall(r"^\$ (.+)$", text, re.MULTILINE)
            yield Shown(f"{path.relative_to(ROOT)} block {number}", tuple(lines))


SHOWN = [*_help(root, (), click.Context(root)), *_documents()]


def _is_run(line: str) -> bool:
    return not any(line == start or line.startswith(f"{start.rstrip()} ") for start in NOT_RUN)


def _typed(line: str) -> str:
    for abbreviated, whole in ABBREVIATED.items():
        line = re.sub(abbreviated, whole, line)
    return f"answered {line}" if CONFIRMED.match(line) else line


@pytest.fixture(scope="module")
def services() -> Iterator[ByContract]:
    with services_by_contract() as stand_in:
        yield stand_in


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make the files that the examples name."""
    snapshot = tmp_path / ".cache" / "huggingface" / "hub" / "models--bert" / "snapshots" / "5c3fe2"
    for folder in (snapshot, tmp_path / "model-folder", tmp_path / ".config" / "fish" / "completions"):
        folder.mkdir(parents=True)
    for name in ("model.onnx", "churn.onnx", "march.parquet", "model-folder/weights.bin"):
        (tmp_path / name).write_bytes(b"bytes" * 100)
    (tmp_path / "blob").write_bytes(b"weights")
    (snapshot / "model.bin").symlink_to(tmp_path / "blob")
    metric = f'{{"name": "auc", "value": 0.9, "dataset_digest": "{DIGEST}", "dataset_name": "holdout"}}'
    training = f"""{{"config": {{"C": 1}}, "dataset": {{"name": "bank", "digest": "{DIGEST}"}},
        "metrics": [{metric}], "trained_at": "2026-01-31T12:00:00Z", "creator": "publisher:nightly",
        "code": {{"revision": "abc"}}}}"""
    signature = '{"inputs": [], "outputs": [{"name": "y", "type": "double"}]}'
    for name in ("run.json", "rest.json"):
        (tmp_path / name).write_text(f'{{"training": {training}, "schema": {signature}}}', "utf-8")
    (tmp_path / "policy.yaml").write_text("stages: {}\n", "utf-8")
    (tmp_path / "other.key").write_text("rg_K2_secret\n", "utf-8")
    (tmp_path / "bin").mkdir()
    code = {"regista": "from regista.cli import main; main()", "answered": ANSWERED}
    for name, text in code.items():
        (tmp_path / "bin" / f"{name}.txt").write_text(text, "utf-8")
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} "$0.txt" "$@"\n', "utf-8")
        program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    "shown", [one for one in SHOWN if any(map(_is_run, one.lines))], ids=lambda one: one.where
)
def test_what_is_shown_runs_and_sends_what_the_services_take(
    services: ByContract, home: Path, shown: Shown
) -> None:
    script = "\n".join(_typed(line) for line in shown.lines if _is_run(line))
    services.wrong.clear()
    if "key register" in shown.where:
        script = f"regista key generate publisher:nightly --out nightly.key.json >&2\n{script}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=home,
        env={
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "REGISTA_URL": f"{services.url}/registry",
            "REGISTA_API_KEY": "rg_AAAAAAAAAAAA_" + "B" * 32,
            "REGISTA_CONFIG": "/nowhere",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert services.wrong == [], done.stderr
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_every_exception_is_needed() -> None:
    lines = [line for shown in SHOWN for line in shown.lines]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []
