"""The examples in Java and Node hold for the test vectors, where their runtimes are installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from services.local.kafka_jars import class_path
from tools.contracts.__main__ import ROOT

EXAMPLES = ROOT.parent / "examples"
VECTORS = ROOT / "vectors"
JAVA_STARTS_FAST = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Half the processor time for a program that ends within a second."""


def _count() -> int:
    artifacts, events = (
        len(json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["cases"])
        for name in ("artifacts", "events")
    )
    return 1 + 2 * artifacts + events


def _printed(*argv: str | Path) -> str:
    ran = subprocess.run(
        [*map(str, argv), "vectors", str(VECTORS)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK is installed")
def test_every_vector_holds_in_java() -> None:
    java = ("java", *JAVA_STARTS_FAST, "-cp", class_path(), EXAMPLES / "java" / "Publish.java")
    assert _printed(*java) == f"{_count()} vectors hold\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_every_vector_holds_in_node() -> None:
    assert _printed("node", EXAMPLES / "node" / "publish.mjs") == f"{_count()} vectors hold\n"
