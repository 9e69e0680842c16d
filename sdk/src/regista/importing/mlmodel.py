"""Read an MLmodel file, or report that its reader is not installed."""

from __future__ import annotations

from regista.errors import NotConfigured
from regista.wire import mlmodel
from regista.wire.mlmodel import MLmodel


def read_mlmodel(raw: bytes) -> MLmodel:
    """Return what the file states. A file that cannot be read has a `problem`. Raises NotConfigured."""
    try:
        return mlmodel.read(raw)
    except ImportError:
        raise NotConfigured(
            "yaml_missing",
            "MLmodel files are YAML, and no reader of YAML is installed",
            advice="Install it: pip install 'regista[import]'.",
        ) from None
