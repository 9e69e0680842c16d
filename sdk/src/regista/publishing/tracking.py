"""`regista.track()`: what a training run was made of, captured where it runs."""

from __future__ import annotations

import functools
import inspect
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from regista.files import hash_file
from regista.publishing.data_digest import data_digest, schema_of
from regista.wire.digests import FileEntry, digest, manifest_digest

FRAMEWORKS = ("torch", "tensorflow", "jax", "xgboost", "lightgbm", "catboost", "sklearn")
_MODULE_NAMES = {"sklearn": "scikit-learn"}
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


class Run:
    """What one training was made of.

    Everything captured can be overridden; what is unknown stays out and the registry names it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        code: Sequence[Path],
        *,
        seed: int | None = None,
        framework: str = "",
        sources: str = "",
    ) -> None:
        self.config = dict(config)
        self.seed = seed
        self.trained_at: datetime | None = None
        self.code = code_identity(code, sources)
        self.dataset: dict[str, str] | None = None
        self.features: list[str] | None = None
        self.metrics: list[dict[str, Any]] = []
        self.signature: dict[str, Any] | None = None
        self._framework = framework
        self._test: dict[str, str] | None = None
        self._environment: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.trained_at = datetime.now(UTC)

    def train_data(
        self, name: str, *parts: Any, digest: str = "", features: Sequence[str] | None = None
    ) -> Self:
        """The data set trained on: its name, and the data itself or a digest computed elsewhere."""
        self.dataset = {"name": name, "digest": digest or data_digest(*parts)}
        if features is not None:
            self.features = [str(f) for f in features]
        elif parts and hasattr(parts[0], "columns"):
            self.features = [str(c) for c in parts[0].columns]
        return self

    def test_data(self, name: str, *parts: Any, digest: str = "") -> Self:
        """The data set that the metrics named next were measured on."""
        self._test = {"dataset_name": name, "dataset_digest": digest or data_digest(*parts)}
        return self

    def metric(
        self,
        name: str,
        value: float,
        *,
        primary: bool = False,
        higher_is_better: bool = True,
        definition: str = "",
    ) -> Self:
        """A figure measured on the data named last by `test_data`.

        Raises ValueError without one: a figure of nothing compares to nothing.
        """
        if self._test is None:
            msg = "name the data it was measured on first: run.test_data('holdout', X_test, y_test)"
            raise ValueError(msg)
        said: dict[str, Any] = {
            "name": name,
            "value": float(value),
            **self._test,
            "higher_is_better": higher_is_better,
            "primary": primary,
        }
        if definition:
            said["definition"] = definition
        self.metrics = [
            m for m in self.metrics if (m["name"], m["dataset_digest"]) != (name, said["dataset_digest"])
        ] + [said]
        return self

    def schema(
        self,
        inputs: Any,
        outputs: Any,
        *,
        features: Sequence[str] | None = None,
        labels: Sequence[Any] | None = None,
    ) -> Self:
        """What goes in and what comes out, from examples: data frames or arrays.

        `labels` are the classes of the first output.
        """
        given = schema_of(outputs, name="output")
        if labels is not None:
            given[0]["labels"] = [str(label) for label in labels]
        self.signature = {
            "inputs": schema_of(inputs, name="input", features=features or self.features),
            "outputs": given,
        }
        return self

    def training(self) -> dict[str, Any]:
        """The `training` section of ModelTrained, without what is not known.

        The same at each call: publishing a run again makes no second version.
        """
        self.trained_at = self.trained_at or datetime.now(UTC)
        self._environment = self._environment or environment()
        known: dict[str, Any] = {
            "config": self.config,
            "code": self.code,
            "dataset": self.dataset,
            "features": self.features,
            "framework": framework_of(self._framework),
            "environment": self._environment,
            "metrics": self.metrics or None,
            "trained_at": self.trained_at.isoformat().replace("+00:00", "Z"),
            "seed": self.seed,
        }
        return {name: value for name, value in known.items() if value is not None}


def track(
    config: Mapping[str, Any] | None = None,
    *,
    code: str | Path | Sequence[str | Path] | None = None,
    seed: int | None = None,
    framework: str = "",
) -> Run:
    """Begins to capture a training run: `with regista.track(config={"C": 1.0}) as run: …`.

    Code identity is the digest of `code` (files or folders of Python code); by default of the calling script,
    or of the cells run so far in a notebook, and the git revision where there is one. Raises
    FileNotFoundError for code that is not there.
    """
    given = [code] if isinstance(code, str | Path) else code
    if given is not None:
        return Run(config or {}, [Path(p) for p in given], seed=seed, framework=framework)
    cells = _notebook_cells()
    caller = inspect.stack()[1].filename
    return Run(
        config or {},
        [] if cells or not Path(caller).is_file() else [Path(caller)],
        seed=seed,
        framework=framework,
        sources=cells,
    )


def _notebook_cells() -> str:
    main = sys.modules.get("__main__")
    cells = getattr(main, "In", None)
    return (
        "\n\n".join(str(c) for c in cells) if isinstance(cells, list) and hasattr(main, "get_ipython") else ""
    )


def code_identity(paths: Sequence[Path], sources: str = "") -> dict[str, str] | None:
    """`{digest, revision, repository}` as far as known.

    The digest covers the declared files only: a monorepo changes every night.
    """
    files: list[FileEntry] = []
    for path, name in _named(paths).items():
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in found:
            checksum, size = hash_file(file)
            files.append(
                FileEntry(
                    (name / file.relative_to(path)).as_posix() if path.is_dir() else name.as_posix(),
                    size,
                    checksum,
                )
            )
    identity: dict[str, str] = {}
    if files:
        identity["digest"] = manifest_digest(files)
    elif sources:
        identity["digest"] = digest({"cells": sources})
    return (identity | _git(paths[0].parent if paths else Path())) or None


def _named(paths: Sequence[Path]) -> dict[Path, Path]:
    """Each path once, by its own name; where two have the same one, by their way from the folder that holds them all."""
    once = list({path.resolve(): path for path in paths}.values())
    if len({path.name for path in once}) == len(once):
        return {path: Path(path.name) for path in once}
    top = os.path.commonpath([path.resolve().parent for path in once])
    return {path: path.resolve().relative_to(top) for path in once}


def _git(folder: Path) -> dict[str, str]:
    revision = _ask_git(folder, "rev-parse", "HEAD")
    if not revision:
        return {}
    dirty = "-dirty" if _ask_git(folder, "status", "--porcelain", "--untracked-files=no") else ""
    origin = _CREDENTIALS.sub("", _ask_git(folder, "config", "--get", "remote.origin.url"))
    return {"revision": revision + dirty} | ({"repository": origin} if origin else {})


def _ask_git(folder: Path, *question: str) -> str:
    try:
        told = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *question],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def framework_of(name: str = "") -> dict[str, str] | None:
    """`{name, version}` of the framework named, else of the first known one that is imported."""
    for module in (name,) if name else tuple(f for f in FRAMEWORKS if f in sys.modules):
        distribution = _MODULE_NAMES.get(module, module)
        try:
            return {"name": distribution, "version": metadata.version(distribution)}
        except metadata.PackageNotFoundError:
            return {
                "name": distribution,
                "version": str(getattr(sys.modules.get(module), "__version__", "unknown")),
            }
    return None


@functools.cache
def _owners() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()  # reads every installed distribution: 0.5 s


def environment() -> dict[str, Any]:
    """Python, platform, and the version of every distribution that is imported by now."""
    owners = _owners()
    imported = {
        d for module in {name.partition(".")[0] for name in list(sys.modules)} for d in owners.get(module, ())
    }
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}".lower(),
        "packages": {name: metadata.version(name) for name in sorted(imported)},
    }
