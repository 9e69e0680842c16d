"""`regista doctor`: what its findings mean, and the next step that it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.local import restore_commands
from services.local.doctor import Diagnosis
from services.local.folders import InstanceFolder, LocalError

WHOLE: dict[str, Any] = {"topics": [{"topic": "t", "lost": 0}], "unknown": {}}
LOST: dict[str, Any] = {
    "topics": [
        {
            "topic": "regista.registry.events.v1",
            "lost": 2,
            "oldest": "2026-03-03T10:00:00Z",
            "newest": "2026-03-03T11:00:00Z",
            "types": {"regista.registry.VersionRecalled.v1": 2},
            "named": [
                {
                    "type": "regista.registry.VersionRecalled.v1",
                    "stream": "model-1",
                    "revision": 9,
                    "recorded_at": "2026-03-03T11:00:00Z",
                }
            ],
        }
    ]
}
ARTIFACTS = {"unknown_to_log": 0, "without_objects": 0, "named": {}}


@pytest.mark.parametrize(
    ("audit", "artifact", "failed", "code", "next_step"),
    [
        (WHOLE, ARTIFACTS, {}, 0, ""),
        (WHOLE | {"stopped": "was behind"}, ARTIFACTS, {}, 0, "Start the services"),
        (WHOLE | {"restored": "a dump"}, ARTIFACTS, {}, 1, "restore accept --reason"),
        (LOST, ARTIFACTS, {}, 1, "regista down"),
        (WHOLE | {"checkpoints": "3 events are missing"}, ARTIFACTS, {}, 1, "regista down"),
        (WHOLE, ARTIFACTS | {"unknown_to_log": 1}, {}, 1, "regista down"),
        (WHOLE | {"history": None}, ARTIFACTS, {}, 0, ""),
        (WHOLE | {"history": {"lost": [], "damaged": []}}, ARTIFACTS, {}, 0, ""),
        (WHOLE | {"history": {"lost": ["leaves 3 to 9"], "damaged": []}}, ARTIFACTS, {}, 1, "regista down"),
        (WHOLE | {"history": {"lost": [], "damaged": ["a file"]}}, ARTIFACTS, {}, 1, "history verify"),
        (WHOLE, ARTIFACTS | {"without_objects": 1}, {}, 1, "regista down"),
        (WHOLE | {"unknown": {"t": "Kafka did not answer"}}, ARTIFACTS, {}, 2, "regista status"),
        (WHOLE, {}, {"artifact": "the store did not answer"}, 2, "regista status"),
    ],
)
def test_the_exit_code_and_the_next_step_follow_from_what_is_lost(
    audit: dict[str, Any], artifact: dict[str, Any], failed: dict[str, str], code: int, next_step: str
) -> None:
    diagnosis = Diagnosis({"audit": audit, "artifact": artifact}, failed)
    assert diagnosis.exit_code == code
    assert next_step in " ".join(diagnosis.next_steps[:1])


def test_the_output_names_each_lost_event(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = Diagnosis({"audit": LOST, "artifact": ARTIFACTS}, {})
    monkeypatch.setattr("services.local.doctor.diagnosed", lambda *_: found)
    monkeypatch.setattr(restore_commands, "_instance", lambda _: None)
    shown = CliRunner().invoke(restore_commands.doctor, ["--instance", f"{tmp_path}/i"])
    assert shown.exit_code == 1
    assert "2 regista.registry.VersionRecalled.v1" in shown.output
    assert "model-1 revision 9" in shown.output
    assert "Something is lost." in shown.output
    as_json = CliRunner().invoke(restore_commands.doctor, ["--instance", f"{tmp_path}/i", "--json"])
    assert json.loads(as_json.stdout)["lost"] is True


def test_a_loss_is_accepted_only_when_it_is_named(tmp_path: Path) -> None:
    findings = tmp_path / "findings.json"
    findings.write_text(json.dumps(LOST))
    words = ["accept", "--reason", "x", "--url", "postgresql://nowhere/x", "--findings", str(findings)]
    refused = CliRunner().invoke(restore_commands.restore, words)
    assert refused.exit_code == 1
    assert "--lost" in refused.output


@pytest.mark.parametrize("content", ["{}", '{"unknown": {"t": "Kafka did not answer"}}'])
def test_nothing_is_accepted_before_all_was_compared(tmp_path: Path, content: str) -> None:
    file = tmp_path / "findings.json"
    file.write_text(content)
    with pytest.raises(LocalError, match="not all could be compared"):
        restore_commands._findings(InstanceFolder(tmp_path), file, local=False)
