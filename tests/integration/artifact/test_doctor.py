"""`python -m services.artifact doctor` names artifacts that only the store or only the log has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.artifact import doctor
from services.artifact.settings import ArtifactSettings
from services.artifact.stores.disk import DiskStore
from tests.integration.artifact.conftest import Replica, pieces

STORED, GONE = "a" * 64, "b" * 64


@pytest.fixture
def settings(stack: Any, database: Any, tmp_path: Path) -> ArtifactSettings:
    environment = stack.service_environment("artifact", database.name)
    own = {name: value for name, value in environment.items() if "_S3_" not in name}
    return ArtifactSettings.from_environment(own | {"REGISTA_ARTIFACT_DIR": str(tmp_path)})


async def test_objects_that_the_log_does_not_name_and_artifacts_without_objects_are_named(
    settings: ArtifactSettings, database: Any, tmp_path: Path, replica: Replica
) -> None:
    assert replica.app.pool  # the read models exist
    whole = await doctor.examine(settings, [].append)
    assert not whole.lost
    await DiskStore(tmp_path).put(f"verified/{STORED}/g1/model.onnx", pieces(b"x"), {})
    connection = await asyncpg.connect(database.url("artifact"))
    await connection.execute(
        "INSERT INTO artifact.artifacts (hex, generation, verified, quarantined, expired, deleted, first_at)"
        " VALUES ($1, 2, 2, 0, 0, 0, now())",
        GONE,
    )
    await connection.close()
    lines = list[str]()
    found = await doctor.examine(settings, lines.append)
    assert (found.stored, found.unknown_to_log, found.without_objects) == (1, 1, 1)
    assert found.named == {"unknown_to_log": [STORED], "without_objects": [GONE]}
    assert lines[-1] == "artifacts: 1 are not in the log, 1 have lost their objects"


async def test_a_database_without_read_models_is_compared_by_its_log(settings: ArtifactSettings) -> None:
    found = await doctor.examine(settings, [].append)
    assert (found.lost, found.stored) == (False, 0)
