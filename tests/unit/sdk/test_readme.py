"""The Python of the READMEs, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from starlette.responses import JSONResponse, Response

from .conftest import API_KEY, Answers

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
REGISTERED = {"model_id": "0198-m", "number": 3, "semver": "1.3.0", "stage": "Staging"}
READER = """
import ast, asyncio, inspect, numpy, pathlib, sys

class Fitted:
    def predict(self, rows):
        return rows[:, 0] > 0

X = X_test = numpy.array([[0.5, 1.0], [-1.0, 2.0]])
y = y_test = numpy.array([1, 0])
names = {"X": X, "y": y, "X_test": X_test, "y_test": y_test, "auc": 0.94, "model": Fitted()}
for block in sys.argv[1:]:
    code = compile(pathlib.Path(block).read_text(), block, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    begun = eval(code, names)
    if inspect.iscoroutine(begun):
        asyncio.run(begun)
"""


def doubler() -> bytes:
    """A model that onnxruntime opens."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubler", value[:1], value[1:])
    return onnx.ModelProto.SerializeToString(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    )


NO_EVENTS = Response('event: end\ndata: {"code":"caught_up","detail":""}\n\n', media_type="text/event-stream")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "model", "file", "output"),
    [
        ("sdk/README.md", "crm.churn", "churn.onnx", "1.3.0 Staging\nValidated 1.3.0\n"),
    ],
)
def test_what_a_readme_shows_runs_as_it_stands(
    answers: Answers, tmp_path: Path, document: str, model: str, file: str, output: str
) -> None:
    served = answers.has(model, "@production", {file: doubler()})
    answers.has(model, "4", {file: doubler()}, number=4)
    answers.fixed["POST", f"/v1/models/{model}/versions"] = JSONResponse({"model": model, **REGISTERED}, 201)
    for number in (3, 4):
        path = f"/v1/models/{model}/versions/{number}:promote"
        answers.fixed["POST", path] = JSONResponse({"promotion_id": "p1"}, 202)
    validated = JSONResponse({**served, **REGISTERED, "stage": "Validated"})
    for name in (model, "0198-m"):
        answers.fixed["GET", f"/v1/models/{name}/versions/3"] = validated
    answers.fixed["GET", "/v1/promotions/p1"] = JSONResponse({"promotion_id": "p1", "state": "promoted"})
    answers.fixed["POST", f"/v1/models/{model}/versions/3/evaluations"] = validated
    for method in ("GET", "PATCH"):
        answers.fixed[method, f"/v1/models/{model}"] = JSONResponse({"model": model, "revision": 7})
    answers.fixed["GET", "/v1/public-events"] = NO_EVENTS
    (tmp_path / file).write_bytes(doubler())
    blocks = [
        tmp_path / f"block_{n}.py" for n, _ in enumerate(BLOCK.findall((ROOT / document).read_text("utf-8")))
    ]
    for block, text in zip(blocks, BLOCK.findall((ROOT / document).read_text("utf-8")), strict=True):
        block.write_text(text, "utf-8")
    environment = {
        "REGISTA_URL": answers.url,
        "REGISTA_API_KEY": API_KEY,
        "REGISTA_CACHE_DIR": str(tmp_path / "cache"),
        "REGISTA_CONFIG": "/nowhere",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": os.environ["PATH"],
    }
    result = subprocess.run(
        [sys.executable, "-c", READER, *blocks],
        env=environment,
        cwd=tmp_path,
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr, result.stdout) == (0, "", output)
    assert answers.of("POST", f"/v1/models/{model}/versions")


def test_the_program_that_the_readme_shows_is_in_the_examples() -> None:
    shown, *_ = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert shown == (ROOT / "examples" / "python" / "train.py").read_text("utf-8")
