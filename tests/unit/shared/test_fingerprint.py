"""A snapshot is used only by the code that made it: the fingerprint covers each dependency of a fold."""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.deciding.decider import Fold
from shared.log import fingerprint as module
from shared.log.fingerprint import NotCovered, fingerprint
from shared.log.snapshots import SnapshotCodec
from tools.contracts.documents import SERVICES

FILES = {
    "__init__.py": "",
    "fold.py": (
        "from shop_of_test.domain.constants import FACTOR\n"
        "import shop_of_test.prices as prices\n"
        "from . import beside\n"
        "from shop_of_test import package\n"
        "class State: pass\n"
        "def evolve(state, event):\n"
        "    from shop_of_test.late import add\n"
        "    return add(state, prices.of(event) * FACTOR)\n"
    ),
    "domain/__init__.py": "",
    "domain/constants.py": "FACTOR = 2\n",
    "prices.py": "from shop_of_test.rounding import rounded\ndef of(event): return rounded(event)\n",
    "rounding.py": "def rounded(x): return round(x)\n",
    "beside.py": "NAME = 'beside'\n",
    "package/__init__.py": "from shop_of_test.package.inner import X\n",
    "package/inner.py": "X = 1\n",
    "late.py": "def add(a, b): return a\n",
    "upcasters.py": "def upcast(data): return data\n",
    "unrelated.py": "Y = 1\n",
}
Shop = Callable[[], str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "shop_of_test"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop_of_test"]:
        del sys.modules[name]
    _drop_caches()


def _drop_caches() -> None:
    """Drop all caches, as if the process were new."""
    fingerprint.cache_clear()
    module._read.cache_clear()
    importlib.invalidate_caches()


def now(*modules: str) -> str:
    _drop_caches()
    return fingerprint(*modules)


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"unrelated.py", "upcasters.py"}))
def test_it_changes_with_every_module_that_the_fold_imports(folder: Path, name: str) -> None:
    before = now("shop_of_test.fold")
    assert now("shop_of_test.fold") == before
    (folder / name).write_text(FILES[name] + "# changed\n")
    assert now("shop_of_test.fold") != before


@pytest.fixture
def threads_change_while_python_parses() -> Iterator[None]:
    """Let garbage collection hand over to another thread, as Python code that it runs may."""
    threshold = gc.get_threshold()

    def hand_over(*_: object) -> None:
        time.sleep(0)

    gc.callbacks.append(hand_over)
    gc.set_threshold(50)
    yield
    gc.callbacks.remove(hand_over)
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("threads_change_while_python_parses")
@pytest.mark.slow
def test_two_threads_read_the_code_at_the_same_time() -> None:
    for _ in range(3):
        _drop_caches()
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(fingerprint, ["shared.log.transact", "shared.log.states"] * 2))
        assert found[0] != found[1]
        assert found[:2] == found[2:]


def test_it_stays_when_other_code_changes(folder: Path) -> None:
    before = now("shop_of_test.fold")
    (folder / "unrelated.py").write_text("Y = 2\n")
    assert now("shop_of_test.fold") == before


def test_it_changes_with_the_release_of_a_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "late.py").write_text("import msgspec\n")
    before = now("shop_of_test.fold")
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "999")
    assert now("shop_of_test.fold") != before


def test_a_snapshots_fingerprint_covers_the_upcasters(folder: Path) -> None:
    def of_codec() -> str:
        _drop_caches()
        fold = importlib.import_module("shop_of_test.fold")
        upcast = importlib.import_module("shop_of_test.upcasters").upcast
        shop: Fold[object, object] = Fold("shop", fold.State(), fold.evolve)
        return SnapshotCodec(shop, [upcast]).fingerprint

    before = of_codec()
    (folder / "upcasters.py").write_text("def upcast(data): return {**data, 'x': 1}\n")
    assert of_codec() != before


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nX = importlib.import_module('shop_of_test.unrelated')\n",
        "X = __import__('shop_of_test.unrelated')\n",
        "def f():\n    return eval('1')\n",
        "import no_such_library_of_test\n",
        "from shop_of_test.missing import X\n",
    ],
)
def test_code_that_cannot_be_followed_is_an_error(folder: Path, text: str) -> None:
    (folder / "late.py").write_text(text)
    with pytest.raises(NotCovered, match="must be imported by import statements"):
        now("shop_of_test.fold")


@pytest.mark.parametrize(
    "fold",
    [
        pytest.param((fold, service.events.upcasters.values()), id=f"{service.name}-{fold.category}")
        for service in SERVICES
        for fold in service.folds
    ],
)
def test_every_fold_of_every_service_is_covered(fold: tuple[Fold[object, object], list[object]]) -> None:
    assert len(SnapshotCodec(*fold).fingerprint) == 64  # type: ignore[arg-type]
