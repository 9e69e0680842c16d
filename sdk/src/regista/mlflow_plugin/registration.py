"""What a version gets from the program and the run that made it: metadata as far as they are known."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regista.errors import RegistaError
from regista.importing.mlflow_claims import Facts, metadata_of
from regista.importing.mlmodel import read_mlmodel
from regista.importing.mlmodel_files import MOST_REQUIREMENTS, REQUIREMENTS, requirements_in
from regista.publishing.code_identity import code_identity
from regista.publishing.notebook import cells_run, code_of_present_cell
from regista.wire.mlmodel import MOST_BYTES, NAME

Json = Mapping[str, Any]


def metadata(
    tracking_uri: str, run: Json, logged: Json, folder: Path | None, *, here: bool
) -> dict[str, Any]:
    """Return `training` and `signature` of a version.

    `run` and `logged` are MLflow's answers about the run and the logged model, empty where unknown. `folder`
    has the model's files. `here`: this program made the model, so its code is the version's.
    """
    raw = _small(folder, NAME, MOST_BYTES)
    requirements = _small(folder, REQUIREMENTS, MOST_REQUIREMENTS)
    facts = Facts(
        tracking_uri if tracking_uri.startswith(("http://", "https://")) else "",
        {},
        run=run,
        logged=logged,
        mlmodel=read_mlmodel(raw) if raw else None,
        requirements=requirements_in(requirements or b""),
    )
    found = metadata_of(facts)
    if here and (code := _code() | found.get("training", {}).get("code", {})):
        found.setdefault("training", {})["code"] = code
    return found


def _small(folder: Path | None, name: str, most: int) -> bytes | None:
    """Return a file that describes the model, None when there is none or it is too large."""
    with contextlib.suppress(OSError):
        if folder and (folder / name).stat().st_size <= most:
            return (folder / name).read_bytes()
    return None


def _code() -> dict[str, str]:
    """Return the identity of this program's code: the script, or the cells of the notebook."""
    cells = cells_run()
    script = getattr(sys.modules.get("__main__"), "__file__", "") or ""
    scripts = [Path(script)] if script and not cells and Path(script).is_file() else []
    try:
        return code_identity(scripts, code_of_present_cell(cells) if cells else ()) or {}
    except RegistaError:
        return {}
