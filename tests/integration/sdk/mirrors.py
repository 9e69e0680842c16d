"""A process of mirrors with one target, and `regista mirror …` as the admin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from click.testing import CliRunner

from regista.cli import root

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
    profile = house.people["admin"]
    environment = {
        "REGISTA_URL": profile.url,
        "REGISTA_API_KEY": profile.api_key,
        "REGISTA_CONFIG": "/nowhere",
    }
    result = CliRunner().invoke(root, ["mirror", *words, "--json"], env=environment)
    return result.exit_code, json.loads(result.stdout or "null")
