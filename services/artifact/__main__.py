"""Run the service. `python -m services.artifact doctor` compares the stored objects with the log."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from services.artifact import doctor
from services.artifact.service import process
from services.artifact.settings import ArtifactSettings
from shared.run import main


def progress(line: str) -> None:
    """Report the progress of a comparison on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["doctor"]:
            findings = asyncio.run(doctor.examine(ArtifactSettings.from_environment(), progress))
            sys.stdout.write(json.dumps(asdict(findings)) + "\n")
            sys.exit(1 if findings.lost else 0)
        case _:
            main(process)
