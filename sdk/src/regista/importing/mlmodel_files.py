"""Find the files among an artifact's that describe it: MLmodel, and the packages that it needs."""

from __future__ import annotations

from collections.abc import Sequence

from regista.importing.files import Files, SourceFile, small_file
from regista.importing.mlmodel import MOST_BYTES, MLmodel, read_mlmodel

MLMODEL, REQUIREMENTS = "MLmodel", "requirements.txt"
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
    lines = (line.strip() for line in packages.decode("utf-8", "replace").splitlines())
    return mlmodel, [line for line in lines if line and not line.startswith(("#", "-"))]
