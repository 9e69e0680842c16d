"""`Run.save` writes what `regista publish --metadata` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.responses import JSONResponse

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import Invalid, RegistaError
from regista.publishing.tracking import capture
from tests.unit.sdk.conftest import QUICK, Answers


def test_a_saved_run_publishes_the_same_as_the_run_itself(
    run: Any, answers: Answers, profile: Profile, tmp_path: Path
) -> None:
    tracked = capture({"C": float("nan"), "path": Path("a/b")}, code=[], seed=7)
    tracked.train_data("bank", b"rows", features=["age"]).test_data("holdout", b"rest")
    tracked.metric("auc", 0.9, primary=True).schema(np.array([[1.0]]), np.array([0]), labels=[0, 1])
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(
        {"model": "churn", "number": 1, "semver": "1.0.0", "stage": "Staging"}, 201
    )
    model = tmp_path / "model.onnx"
    model.write_bytes(b"onnx" * 100)
    saved = tracked.save(tmp_path / "run.json")
    done = run("publish", "churn", str(model), "--metadata", str(saved))
    assert done.exit_code == 0, done.output
    with Client(profile, patience=QUICK) as client:
        client.publish("churn", model, tracked).wait()
    by_file, by_run = (json.loads(sent.body) for sent in answers.of("POST", "/v1/models/churn/versions"))
    by_run["training"].pop("creator", None)  # of the profile
    assert {**by_file, "artifact": by_run["artifact"]} == by_run


def test_a_run_is_saved_completely_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert capture({"C": 1.0}, code=[]).save(str(file)) == file
    before = file.read_text("utf-8")
    with pytest.raises(Invalid):
        capture({"n": 2**60}, code=[]).save(file)
    assert file.read_text("utf-8") == before
    with pytest.raises(RegistaError, match="cannot be written"):
        capture({"C": 1.0}, code=[]).save(tmp_path / "nowhere" / "run.json")
    assert [one.name for one in tmp_path.iterdir()] == ["run.json"]
