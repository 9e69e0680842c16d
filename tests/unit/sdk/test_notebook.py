"""In a notebook, code identity is that of the cells that define what the publishing cell uses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import regista
from regista.publishing.notebook import code_of_present_cell

IMPORT = "import regista\nimport pandas as pd"
DATA = "frame = pd.read_csv('bank.csv')\nX, y = frame[['age']], frame['label']"
HELPER = "def scaled(x):\n    return x / DIVISOR"
DIVISOR = "DIVISOR = 100"
MODEL = "model = Model(depth=3)"
FIT = "model.fit(scaled(X), y)"
RUN = "run = regista.capture(config={'depth': 3})\nrun.train_data('bank', X, y)"
PUBLISH = "regista.publish('churn', 'churn.onnx', run).wait()\nmodel.save()"
TRAINING = [IMPORT, DATA, HELPER, DIVISOR, MODEL, FIT, RUN, PUBLISH]


def test_the_code_is_the_cells_that_the_present_one_uses_through_others() -> None:
    assert code_of_present_cell(TRAINING) == sorted({DATA, HELPER, DIVISOR, MODEL, FIT, RUN, PUBLISH})


@pytest.mark.parametrize(
    "again",
    [
        [PUBLISH],
        [RUN, PUBLISH],
        [FIT, RUN, PUBLISH],
        [DATA, MODEL, FIT, RUN, PUBLISH],
        TRAINING,
        ["import matplotlib.pyplot as plt", "plt.plot([1, 2])", PUBLISH],
        ["1 + 1", "!ls", "%matplotlib inline", "%%bash\nls", "not python (", "", PUBLISH],
        ["note = 'for later'\nother = frame['age'].mean()", PUBLISH],
        ["loaded = regista.load('churn@production')", PUBLISH],
        [PUBLISH, f"{PUBLISH}   \n"],
    ],
)
def test_cells_that_run_again_and_cells_of_other_things_do_not_change_the_code(again: list[str]) -> None:
    assert code_of_present_cell([*TRAINING, *again]) == code_of_present_cell(TRAINING)


@pytest.mark.parametrize(
    ("cell", "other"),
    [
        (DATA, DATA.replace("bank", "bank2")),
        (HELPER, HELPER.replace("/", "*")),
        (DIVISOR, "DIVISOR = 10"),
        (MODEL, "model = Model(depth=4)"),
        (FIT, "model.fit(scaled(X), y, rounds=2)"),
        (RUN, RUN.replace("3", "4")),
        (PUBLISH, PUBLISH.replace("churn.onnx", "other.onnx")),
    ],
)
def test_another_cell_that_is_used_changes_the_code(cell: str, other: str) -> None:
    changed = [other if text == cell else text for text in TRAINING]
    assert code_of_present_cell(changed) != code_of_present_cell(TRAINING)


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (["x = 1", "x = x + 1", "use(x)"], ["use(x)", "x = 1", "x = x + 1"]),
        (["x = 1", "x = 2", "use(x)"], ["use(x)", "x = 2"]),
        (["x = 1", "use(x)", "x = 2"], ["x = 2"]),
        (["x = 1", "x += 1", "use(x)"], ["use(x)", "x += 1", "x = 1"]),
        (
            ["d = {}", "d['a'] = 1", "d.other.b = 2", "use(d)"],
            ["d = {}", "d['a'] = 1", "d.other.b = 2", "use(d)"],
        ),
        (
            ["def f():\n    return g()", "def g(): return 1", "f()"],
            ["def f():\n    return g()", "def g(): return 1", "f()"],
        ),
        (
            ["def f(): return 1", "y = f()", "def f(): return 2", "use(y)"],
            ["def f(): return 1", "use(y)", "y = f()"],
        ),
        (["x = 1", "def f(x): return x", "f(2)"], ["def f(x): return x", "f(2)"]),
        (["i = 5", "xs = [1]", "[i for i in xs]"], ["[i for i in xs]", "xs = [1]"]),
        (
            ["class A(B):\n    c = d", "class B: ...", "d = 1", "class A(B):\n    c = d", "A()"],
            ["A()", "class A(B):\n    c = d", "class B: ...", "d = 1"],
        ),
        (
            ["p = 'x'", "with open(p) as file:\n    t = file.read()", "use(t)"],
            ["p = 'x'", "use(t)", "with open(p) as file:\n    t = file.read()"],
        ),
        (["%%time\nx = 1", "f = lambda: x", "f()"], ["%%time\nx = 1", "f = lambda: x", "f()"]),
        (["from a import b\nx = 1", "b(x)"], ["b(x)", "from a import b\nx = 1"]),
        ([], []),
    ],
)
def test_a_name_is_traced_to_what_it_was_when_it_was_used(cells: list[str], code: list[str]) -> None:
    assert code_of_present_cell(cells) == sorted(code)


NOTEBOOK = """
import json, sys
main = sys.modules["__main__"]
main.get_ipython = lambda: None
main.In = [""]

def run_cell(cell):
    main.In.append(cell)
    exec(cell, vars(main))

for cell in json.load(sys.stdin):
    run_cell(cell)
    if "run.training()" in cell:
        print(json.dumps(section), flush=True)
"""
START = "import regista\nscale = 2.0"
TRAIN = "with regista.capture(config={'C': 1.0}) as run:\n    run.train_data('bank', [1.0, 2.0])"
SEND = "section = run.training()"
LATER = "from regista.client.sync_client import Client\nimport regista.cli.publish, regista.publishing.kafka"


def test_a_notebook_run_again_makes_the_same_section_but_for_its_time(tmp_path: Path) -> None:
    cells = [START, TRAIN, SEND, LATER, "1 + 1", TRAIN, SEND, START, TRAIN, SEND]
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sections: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    times = [section.pop("trained_at") for section in sections]
    assert len(set(times)) == len(times) == 3
    assert sections[0] == sections[1] == sections[2]
    assert "numpy" not in sections[0]["environment"]["packages"]
    assert (
        not {"httpx", "msgspec", "click", "rich", "regista"} & sections[0]["environment"]["packages"].keys()
    )


def test_code_that_is_set_by_hand_stays() -> None:
    run = regista.capture(code=[Path(__file__)])
    run.code = {"revision": "abc"}
    assert run.training()["code"] == {"revision": "abc"}
