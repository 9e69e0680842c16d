"""Format Python text as the files of the tree are formatted."""

from __future__ import annotations

import subprocess
import sys


def formatted(text: str, name: str = "a.py") -> str:
    """Return the text with sorted imports, as `ruff format` writes a file of this name."""
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format"]):
        words = [sys.executable, "-m", "ruff", *command, "--stdin-filename", name, "-"]
        text = subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed
    return text
