"""Fetch with Maven what a pom names, from the repository that this machine's settings name."""

from __future__ import annotations

import shutil
from pathlib import Path

from services.local.folders import LocalError
from services.local.processes import run_to_end


def fetch(pom: Path, folder: Path, *goal: str, what: str, log: Path, otherwise: str = "") -> None:
    """Copy into a folder what the pom names. `goal` is one of the dependency plugin, with its options.

    Raises LocalError. `what` names in its message what is missing, and `otherwise` what else supplies it:
    ", or set …".
    """
    maven = shutil.which("mvn")
    if not maven:
        raise LocalError(f"to fetch {what}, install Maven (`apt install maven`){otherwise}")
    options = ["-q", "-B", "-Dstyle.color=never", "-f", str(pom)]
    try:
        run_to_end([maven, *options, *goal, f"-DoutputDirectory={folder}"], log=log, timeout=900)
    except LocalError as failed:
        raise LocalError(
            f"Maven could not fetch {what}: check the network or the mirror in ~/.m2/settings.xml, and "
            f"start again (what was fetched is kept){otherwise}.\n{failed}"
        ) from None
