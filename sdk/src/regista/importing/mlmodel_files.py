"""Find the files among an artifact's that describe it: MLmodel, and the packages that it needs."""

from __future__ import annotations

from collections.abc import Sequence

from regista.importing.files import Files, SourceFile, small_file
from regista.importing.mlmodel import read_mlmodel
from regista.wire.mlmodel import MOST_BYTES, MLmodel
from regista.wire.mlmodel import NAME as MLMODEL

REQUIREMENTS = "requirements.txt"
MOST_REQUIREMENTS = 256 << 10


async def mlmodel_among(
    reader: Files, files: Sequence[SourceFile], notes: list[str]
) -> tuple[MLmodel | None, list[str]]:
    """Return what MLmodel states, None without one, and the lines that name a package.

    A file that is too large is noted. Raises RegistaError when a file cannot be read.
    """
    found = await small_file(reader, files, MLMODEL, MOST_BYTES, notes)
    mlmodel = None if found is None else read_mlmodel(found)
    packages = await small_file(reader, files, REQUIREMENTS, MOST_REQUIREMENTS, notes) or b""
    return mlmodel, requirements_in(packages)


def requirements_in(raw: bytes) -> list[str]:
    """Return the requirements that a file of pip lists, without its comments and options."""
    lines = (line.strip() for line in raw.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]
