"""The result of `regista.load`: the verified files of a version. The client never unpickles them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from regista import html
from regista.errors import Invalid, NotConfigured, WithdrawnAncestor
from regista.onnx_files import NotOnnx, weight_files
from regista.own_imports import own


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version with its verified files in the folder `path`. `version` is the service's JSON.

    `confirmed_at` is when the registry last let this machine load it: just now, unless `offline`.
    """

    model: str
    model_id: str
    number: int
    semver: str
    digest: str
    path: Path
    version: dict[str, Any] = field(repr=False)
    _count: Callable[[int], None] = field(repr=False)
    confirmed_at: datetime
    offline: bool = False

    def _repr_html_(self) -> str:
        """Return the version with its files as a table, for notebooks."""
        where = {"files": self._names(), "path": self.path, "offline": self.offline or None}
        confirmed = {"confirmed": self.confirmed_at.isoformat(timespec="seconds")}
        title = f"{self.model} {self.semver or 'draft'}, number {self.number}"
        return html.fields(
            title, {"stage": self.version.get("stage"), "digest": self.digest, **where, **confirmed}
        )

    def file(self, name: str = "") -> Path:
        """Return the path of a file of the version; without `name`, of its only file. Raises Invalid."""
        if name:
            found = self.path / name
            if not found.resolve().is_relative_to(self.path.resolve()) or not found.is_file():
                raise Invalid(
                    "no_such_file",
                    f"{self.model}@{self.number} has no file {name!r}",
                    advice=f"It has: {', '.join(self._names())}",
                )
            return found
        if len(names := self._names()) != 1:
            raise Invalid(
                "which_file",
                f"{self.model}@{self.number} has {len(names)} files",
                advice=f"Name one of: {', '.join(names)}",
            )
        return self.path / names[0]

    def used(self, count: int = 1) -> None:
        """Count uses (predictions) for the usage report. Loading has counted as one use already."""
        self._count(count)

    def session(self, name: str = "", **options: Any) -> Any:
        """Return an `onnxruntime.InferenceSession` on the ONNX file `name`, or on the only one.

        `options` go to InferenceSession. Raises NotConfigured when onnxruntime is not installed, and Invalid
        for a file that is no ONNX model, lacks its weights, or cannot be run.
        """
        try:
            with own():
                import onnxruntime  # noqa: PLC0415 - an extra, loaded when used
        except ImportError:
            raise NotConfigured(
                "onnx_missing",
                "running ONNX needs `pip install 'regista[onnx]'`",
                advice="Install it, or use `path`.",
            ) from None
        onnx = [n for n in self._names() if n.endswith(".onnx")]
        model = self.file(name or (onnx[0] if len(onnx) == 1 else ""))
        try:
            return onnxruntime.InferenceSession(str(model), **options)
        except Exception as e:  # onnxruntime's own classes
            raise self._unusable(model, e) from e

    def _unusable(self, model: Path, error: Exception) -> Invalid:
        """Return why onnxruntime cannot run a file."""
        name = model.relative_to(self.path).as_posix()
        what = f"{name} of {self.model}@{self.number}"
        try:
            missing = [one for one in sorted(weight_files(model)) if not (model.parent / one).is_file()]
        except NotOnnx as e:
            advice = f"Use `.path` or `.file({name!r})` with the framework that saved it."
            return Invalid("not_onnx", f"{what} is no ONNX model: {e}", advice=advice)
        if missing:
            detail = f"{what} keeps its weights in {', '.join(missing[:5])}, which the version does not have"
            return Invalid(
                "onnx_incomplete", detail, advice="Publish the folder with all files of the model."
            )
        advice = "Check the options, and that this release of onnxruntime has the model's operators."
        return Invalid("onnx_unusable", f"onnxruntime cannot run {what}: {error}", advice=advice)

    def _names(self) -> list[str]:
        return sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file())


def warn_of_ancestors(reference: str, version: Mapping[str, Any]) -> None:
    """Warn of each withdrawn version that a version was made from."""
    for why in version.get("withdrawn_ancestors") or ():
        warnings.warn(f"{reference} {why}", WithdrawnAncestor, stacklevel=3)
