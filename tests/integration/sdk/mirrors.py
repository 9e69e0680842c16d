"""A process of mirrors with one target, and `regista mirror …` as the admin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .conftest import House, until


@contextmanager
def mirroring(house: House, name: str, kind: str, settings: str) -> Iterator[None]:
    """Run a mirror whose target has this name, kind and settings file."""
    (house.instance.folder.subfolder("mirrors") / f"{name}.toml").write_text(settings)
    replica = house.instance.launch("mirror")
    try:
        until(lambda: mirrors(house, "target", "set", name, "--kind", kind)[0] == 0)
        yield
    finally:
        replica.kill()
        replica.popen.wait()


def mirrors(house: House, *words: str) -> tuple[int, Any]:
    """Return the exit code and the JSON of `regista mirror …`."""
    code, found, _ = house.command("admin", "mirror", *words)
    return code, found
