"""Compare log, topics, log checkpoints and artifacts of an instance: `regista doctor`. It only reads.

Each service reads what its own accounts may read: `python -m services.audit doctor` and
`python -m services.artifact doctor`, which also run alone, with the settings of the service.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.local.folders import REPOSITORY, LocalError
from services.local.instance import Instance, passed_on, python_command

EXAMINERS = ("audit", "artifact")
RESTORE = "docs/operating.md#a-log-that-is-behind"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings of each service, by service; `next_steps` are what to run."""

    found: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str]

    @property
    def lost(self) -> bool:
        """Whether something that was published or stored is not in the log."""
        audit, artifact = self.found.get("audit", {}), self.found.get("artifact", {})
        return bool(
            audit.get("checkpoints")
            or (audit.get("history") or {}).get("lost")
            or any(topic["lost"] for topic in audit.get("topics", ()))
            or artifact.get("unknown_to_log")
            or artifact.get("without_objects")
        )

    @property
    def damaged(self) -> bool:
        """Whether files of the exported log are missing or changed."""
        return bool((self.found.get("audit", {}).get("history") or {}).get("damaged"))

    @property
    def exit_code(self) -> int:
        """Return 1 when something is lost, damaged or a dump not accepted, 2 when not all was compared."""
        audit = self.found.get("audit", {})
        if self.lost or self.damaged or audit.get("restored"):
            return 1
        return 2 if self.failed or audit.get("unknown") else 0

    @property
    def next_steps(self) -> list[str]:
        """What to run, the first one first."""
        audit = self.found.get("audit", {})
        if self.lost:
            return [
                "Keep this database and stop the services: regista down",
                f"Restore the newest backup to the end of the WAL ({RESTORE}), then: regista doctor",
                "Only if no newer copy exists: regista restore accept --lost --reason 'no newer copy exists'",
            ]
        if audit.get("restored"):
            return ["Nothing is lost. Stop the services, then: regista restore accept --reason 'a backup'"]
        if self.damaged:
            return ["Nothing is lost. Copy the files back from a copy that `regista history verify` proves."]
        if self.exit_code:
            return ["Start what did not answer (regista status), then: regista doctor"]
        if audit.get("stopped"):
            return ["Nothing is lost. Start the services: each compares again and goes on."]
        return []


def diagnosed(instance: Instance, progress: Callable[[str], None]) -> Diagnosis:
    """Run the examination of each service with its own settings, and pass its progress on."""
    found, failed = dict[str, Any](), dict[str, str]()
    for service in EXAMINERS:
        with subprocess.Popen(
            python_command(f"services.{service}", "doctor"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=passed_on() | instance.environment(service),
        ) as child:
            lines = []
            assert child.stderr is not None
            assert child.stdout is not None
            for line in child.stderr:
                lines.append(line.rstrip())
                progress(line.rstrip())
            answer = child.stdout.read()
        try:
            found[service] = json.loads(answer)
        except ValueError:
            failed[service] = lines[-1] if lines else f"exit code {child.returncode}"
    if len(failed) == len(EXAMINERS):
        raise LocalError(f"nothing could be compared: {'; '.join(failed.values())}")
    return Diagnosis(found, failed)
