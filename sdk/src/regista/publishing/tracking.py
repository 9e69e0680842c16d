"""`regista.capture()`: capture what a training run was made of, where it runs."""

from __future__ import annotations

import functools
import inspect
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from regista import html
from regista.errors import WrongValue
from regista.files import replace_file
from regista.former_names import warn_of
from regista.local_errors import writing
from regista.own_imports import canonical, modules_of_training, own_distributions
from regista.publishing.code_identity import code_identity
from regista.publishing.data_digest import columns_of, dataset_digest
from regista.publishing.json_values import check_exact, json_value, metric_value, object_of
from regista.publishing.notebook import cells_run, code_of_present_cell
from regista.publishing.schema import addressed_by, schema_of

FRAMEWORKS = ("torch", "tensorflow", "jax", "xgboost", "lightgbm", "catboost", "sklearn")
_MODULE_NAMES = {"sklearn": "scikit-learn"}


class Run:
    """What one training was made of: code, configuration, data, metrics, schema, environment.

    Every attribute may be overwritten. Unknown values are left out; the registry names what is missing.
    """

    def __init__(
        self,
        config: Any,
        code: Sequence[Path],
        *,
        seed: int | None = None,
        framework: str = "",
        notebook: bool = False,
    ) -> None:
        self.config = object_of("config", config)
        self.seed = seed
        self.trained_at: datetime | None = None
        self._notebook = notebook
        self.code = code_identity(code, code_of_present_cell(cells_run()) if notebook else ())
        self._captured = self.code
        self.dataset: dict[str, str] | None = None
        self.features: list[str] | None = None
        self.metrics: list[dict[str, Any]] = []
        self.model_schema: dict[str, Any] | None = None
        self._framework = framework
        self._test: dict[str, str] | None = None
        self._environment: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.trained_at = datetime.now(UTC)

    def _repr_html_(self) -> str:
        """Return what was captured so far as tables, for notebooks."""
        known = {
            "config": self.config,
            "data": self.dataset,
            "features": self.features and f"{len(self.features)}: {', '.join(self.features[:20])}",
            "schema": self.model_schema,
            "code": self.code,
            "seed": self.seed,
            "framework": framework_of(self._framework),
            "trained": self.trained_at,
        }
        return html.fields("run", known) + html.metrics(self.metrics)

    def train_data(
        self, name: str, *parts: Any, digest: str = "", features: Sequence[str] | None = None
    ) -> Self:
        """Record the data set trained on: its name, and the data themselves or a digest computed elsewhere.

        The data are hashed here and never sent. With data and `digest`, the digest is checked against the
        data and recorded as it is: pass the one of an earlier version to stay comparable with it. `features`
        defaults to the column names of the first part. Raises Invalid.
        """
        self.dataset = {"name": name, "digest": dataset_digest(parts, digest)}
        if features is not None:
            self.features = [str(f) for f in features]
        elif parts and (names := columns_of(parts[0])):
            self.features = names
        return self

    def test_data(self, name: str, *parts: Any, digest: str = "") -> Self:
        """Record the data set that the next metrics are measured on: its name, and the data or a digest.

        With data and `digest`, the digest is checked, as in `train_data`. Raises Invalid.
        """
        self._test = {"dataset_name": name, "dataset_digest": dataset_digest(parts, digest)}
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
        """Record a metric, measured on the data of the last `test_data`. A second call replaces the value.

        `primary`: the metric decides about the size of a version bump. `definition`: only metrics with equal
        definitions are compared. Raises Invalid for a value that is no finite number, and WrongValue
        without `test_data`.
        """
        if self._test is None:
            raise WrongValue(
                "no_test_data",
                f"the metric {name!r:.80} has no test data that it was measured on",
                advice="Name them first: run.test_data('holdout', X_test, y_test).",
            )
        metric: dict[str, Any] = {
            "name": name,
            "value": metric_value(name, value),
            **self._test,
            "higher_is_better": higher_is_better,
            "primary": primary,
        }
        if definition:
            metric["definition"] = definition
        self.metrics = [
            m for m in self.metrics if (m["name"], m["dataset_digest"]) != (name, metric["dataset_digest"])
        ] + [metric]
        return self

    def schema(
        self,
        inputs: Any,
        outputs: Any,
        *,
        features: Sequence[str] | None = None,
        labels: Sequence[Any] | None = None,
    ) -> Self:
        """Record the schema of inputs and outputs, from examples of what callers send and get.

        Callers send a data frame or a dict of arrays by name, an array or a list of arrays by position; for
        these a change of order is a MAJOR version. `features` names the columns of an input array; `labels`
        are the classes of the first output.
        """
        given = schema_of(outputs, name="output")
        if labels is not None:
            given[0]["labels"] = [str(label) for label in labels]
        self.model_schema = {
            "inputs": schema_of(inputs, name="input", features=features or self.features),
            "outputs": given,
            "inputs_by": addressed_by(inputs),
            "outputs_by": addressed_by(outputs),
        }
        return self

    @property
    def signature(self) -> dict[str, Any] | None:
        """`model_schema` by its former name."""
        warn_of("signature", "model_schema")
        return self.model_schema

    @signature.setter
    def signature(self, schema: dict[str, Any] | None) -> None:
        warn_of("signature", "model_schema")
        self.model_schema = schema

    def training(self) -> dict[str, Any]:
        """Return the `training` section of ModelTrained, without unknown values.

        The result is the same at each call: publishing a run again registers no second version.
        """
        self.trained_at = self.trained_at or datetime.now(UTC)
        if self._notebook and self.code is self._captured:  # now the cell that publishes is known
            self.code = code_identity((), code_of_present_cell(cells_run()))
            self._notebook = False
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

    def save(self, path: str | Path) -> Path:
        """Write what `regista publish --metadata` reads: `training` and `schema`. Return the path.

        An earlier file is replaced, completely or not at all. Raises Invalid for values that JSON cannot
        represent, and RegistaError for a file that cannot be written.
        """
        known = {"training": self.training(), "schema": self.model_schema}
        saved = json_value({name: value for name, value in known.items() if value is not None})
        check_exact(saved)
        file = Path(path)
        with writing(file.parent):
            replace_file(file, json.dumps(saved, indent=2, ensure_ascii=False) + "\n")
        return file


def capture(
    config: Any = None,
    *,
    code: str | Path | Sequence[str | Path] | None = None,
    seed: int | None = None,
    framework: str = "",
) -> Run:
    """Start to capture a training run: `with regista.capture(config={"C": 1.0}) as run: …`.

    `config` is a dict, a namespace of argparse, a dataclass, or an estimator, which is recorded by its class
    and parameters.
    `code` are files or folders of Python code. Code identity is their digest and the git revision, if there
    is one; the default is the calling script. In a notebook it is the cells that define what the publishing
    cell uses (`regista.publishing.notebook`). `framework` defaults to
    the first known one that is imported. Raises Invalid for missing code.
    """
    return _run(inspect.stack()[1].filename, config, code, seed, framework)


def track(
    config: Any = None,
    *,
    code: str | Path | Sequence[str | Path] | None = None,
    seed: int | None = None,
    framework: str = "",
) -> Run:
    """Call `capture` by its former name."""
    warn_of("track", "capture")
    return _run(inspect.stack()[1].filename, config, code, seed, framework)


def _run(
    caller: str,
    config: Any,
    code: str | Path | Sequence[str | Path] | None,
    seed: int | None,
    framework: str,
) -> Run:
    given = [code] if isinstance(code, str | Path) else code
    if given is not None:
        return Run({} if config is None else config, [Path(p) for p in given], seed=seed, framework=framework)
    notebook = bool(cells_run())
    return Run(
        {} if config is None else config,
        [] if notebook or not Path(caller).is_file() else [Path(caller)],
        seed=seed,
        framework=framework,
        notebook=notebook,
    )


def framework_of(name: str = "") -> dict[str, str] | None:
    """Return `{name, version}` of the framework `name`, else of the first known one that is imported."""
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
    return metadata.packages_distributions()  # reads all installed distributions: 0.5 s


def environment() -> dict[str, Any]:
    """Return the versions of Python, the platform, and the imported distributions.

    Those that the SDK or the notebook imported for itself are left out.
    """
    owners, own = _owners(), own_distributions()
    imported = {
        d for module in modules_of_training() for d in owners.get(module, ()) if canonical(d) not in own
    }
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}".lower(),
        "packages": {name: _version(name) for name in sorted(imported)},
    }


@functools.cache
def _version(distribution: str) -> str:
    """Return the version that was installed when a run first read it; what is imported stays that version."""
    return metadata.version(distribution)
