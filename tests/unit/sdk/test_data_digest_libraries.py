"""Digests in pandas 2 and XGBoost, which have an environment of their own, and in PyTorch."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from regista.errors import Invalid
from regista.publishing.data_digest import data_digest
from tests.unit.sdk import data_frames

ROOT = Path(__file__).parents[3]
PACKAGES = ("pandas==2.3.3", "xgboost-cpu==3.2.0", "numpy", "msgspec", "cryptography", "rfc8785")
SEED, FRAMES = 20261129, 300


@pytest.fixture(scope="module")
def other() -> Path:
    """Return the Python of an environment with `PACKAGES`. It is made once and kept under `.regista`."""
    folder = ROOT / ".regista" / "data-libraries"
    python, made = folder / "bin" / "python", folder / "packages.txt"
    if not made.is_file() or made.read_text("utf-8") != "\n".join(PACKAGES):
        uv = [sys.executable, "-m", "uv", "--quiet"]
        try:
            subprocess.run(
                [*uv, "venv", "--clear", "--python", sys.executable, folder], check=True, timeout=60
            )
            subprocess.run([*uv, "pip", "install", "--python", python, *PACKAGES], check=True, timeout=240)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
            pytest.skip(f"pandas 2 and XGBoost are not tested: the packages could not be fetched ({e})")
        made.write_text("\n".join(PACKAGES), "utf-8")
    return python


def run(python: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [python, "-W", "ignore", *arguments],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk/src'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_pandas_2_and_3_have_one_digest(other: Path) -> None:
    found = run(other, str(Path(data_frames.__file__)), str(SEED), str(FRAMES))
    assert (found["pandas"].partition(".")[0], pd.__version__.partition(".")[0]) == ("2", "3")
    assert found["digests"] == data_frames.digests(SEED, FRAMES)


OF_XGBOOST = """
import json, numpy as np, pandas as pd, xgboost as xgb
from regista.publishing.data_digest import data_digest
x, y = np.array([[1, np.nan], [0, 2]], "f4"), [0.0, 1.0]
print(json.dumps([data_digest(m) for m in (
    xgb.DMatrix(x, y),
    xgb.DMatrix(pd.DataFrame(x).to_numpy(), label=np.array(y)),
    xgb.DMatrix(np.nan_to_num(x), y),
    xgb.DMatrix(x, [1.0, 0.0]),
    xgb.DMatrix(x, y, weight=[1, 2]),
    xgb.DMatrix(pd.DataFrame(x, columns=["a", "b"]), y),
    xgb.QuantileDMatrix(x, y, weight=[2, 1]),
)]))
"""


@pytest.mark.slow
def test_a_matrix_of_xgboost_has_a_digest_of_its_values_labels_weights_and_names(other: Path) -> None:
    first, same, *others = run(other, "-c", OF_XGBOOST)
    assert first == same
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed (5 GB with its libraries): its tensors are not tested",
)
def test_a_tensor_of_pytorch_has_the_digest_of_its_values() -> None:
    import torch  # noqa: PLC0415 - not installed everywhere

    values = np.array([[0.0, 1.0], [2.0, 0.0]])
    dense = torch.tensor(values, requires_grad=True)
    assert data_digest(dense) == data_digest(dense.T.T) == data_digest(values) != data_digest(dense.T)
    assert data_digest(torch.tensor(values).to_sparse()) == data_digest(sparse.csr_matrix(values))
    halves = [torch.tensor(values).to(t) for t in (torch.bfloat16, torch.float16, torch.float8_e4m3fn)]
    assert len({data_digest(half) for half in halves}) == 3
    ragged = torch.nested.nested_tensor([dense[:1], dense])
    with pytest.raises(Invalid, match=r"it is nested: pass list"):
        data_digest(ragged)
    assert data_digest(list(ragged.unbind())) == data_digest([dense[:1], dense])
    with pytest.raises(Invalid, match=r"pass what it holds, as dataset\.tensors"):
        data_digest(torch.utils.data.TensorDataset(dense))
