"""Keep what the registry last confirmed of each loaded version, for the time when it does not answer."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from regista.files import replace_file


class Copy(NamedTuple):
    """A version as the registry last confirmed it, and when that was."""

    version: dict[str, Any]
    digest: str
    confirmed_at: datetime

    def age(self, now: datetime) -> str:
        """Return how long ago that was, in its largest unit."""
        seconds = max(0, int((now - self.confirmed_at).total_seconds()))
        for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
            if seconds >= size:
                return f"{seconds // size} {unit}"
        return f"{seconds} s"


class _Named(msgspec.Struct):
    """The record of a reference: the version that it named."""

    model_id: str
    number: int


_copies = msgspec.json.Decoder(Copy)
_references = msgspec.json.Decoder(_Named)


class Confirmed:
    """`<root>/references/` has the version that each reference of a registry named, `versions/` its state.

    The state of a version stands once, so that a withdrawal holds for every spelling. Files are written
    whole; one that cannot be read is absent.
    """

    def __init__(self, root: Path, registry: str) -> None:
        self._root, self._registry = root, registry.rstrip("/")

    def record(self, references: Iterable[str], version: Mapping[str, Any], digest: str) -> None:
        """Store a version that the registry let this caller load, and the references that name it."""
        copy = Copy(dict(version), digest, datetime.now(UTC))
        self._write(self._version(version), copy)
        for reference in references:
            self._write(self._reference(reference), _Named(_model_id(version), int(version["number"])))

    def refuse(self, version: Mapping[str, Any]) -> None:
        """Store the state of a version that must not be loaded. Files and references stay."""
        if (known := self._read(self._version(version), _copies)) is not None:
            state = known.version | dict(version)
            self._write(self._version(version), Copy(state, known.digest, datetime.now(UTC)))

    def drop(self, reference: str) -> None:
        """Delete a reference that the registry answers no longer."""
        self._reference(reference).unlink(missing_ok=True)

    def find(self, reference: str) -> Copy | None:
        """Return the version that the reference named last, or None."""
        named = self._read(self._reference(reference), _references)
        return self._read(self._version(msgspec.to_builtins(named)), _copies) if named else None

    def _reference(self, reference: str) -> Path:
        return self._file("references", reference)

    def _version(self, version: Mapping[str, Any]) -> Path:
        return self._file("versions", f"{_model_id(version)}@{version['number']}")

    def _file(self, folder: str, name: str) -> Path:
        digest = hashlib.sha256(f"{self._registry}\n{name}".encode()).hexdigest()
        return self._root / folder / f"{digest}.json"

    @staticmethod
    def _read(file: Path, decoder: msgspec.json.Decoder[Any]) -> Any:
        try:
            return decoder.decode(file.read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    @staticmethod
    def _write(file: Path, value: Any) -> None:
        """Write a file whole. A cache that cannot be written must not prevent a load that succeeded."""
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, msgspec.json.encode(value).decode())


def _model_id(version: Mapping[str, Any]) -> str:
    return str(version.get("model_id") or version.get("model") or "")
