"""Virtual environments of other products' clients and servers, made once for all runs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.local.cache import made_once


def environment(name: str, packages: Sequence[str], alone: Sequence[str]) -> Path:
    """Return the Python of an environment. The first call installs it; without it tests skip.

    `alone` are installed without what they depend on: `packages` has what they import.
    """
    digest = hashlib.sha256(f"{alone} {packages} {sys.version_info[:2]}".encode()).hexdigest()[:12]

    def make(folder: Path) -> Path:
        made = folder / "environment"
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--python", sys.executable, made], check=True)
        install = [*uv, "pip", "install", "--python", made / "bin" / "python"]
        try:
            subprocess.run([*install, *packages], check=True, timeout=600)
            subprocess.run([*install, "--no-deps", *alone], check=True, timeout=600)
        except subprocess.CalledProcessError:
            pytest.skip(f"uv could not install {name}: its error is printed above")
        return made

    return made_once(f"{name}-{digest}", make) / "bin" / "python"
