"""The URIs of the plug-in: a registry, and the verified files of a version in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from regista.errors import Invalid

SCHEMES = {"regista": "https", "regista+http": "http"}
"""The schemes of MLflow's registry URIs, and those by which the registry is called."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FILES = "/sha256"
_HEX = re.compile(r"[0-9a-f]{64}")
_ADVICE = (
    "Write regista://registry.example.com, regista+http://127.0.0.1:8001 for one without TLS, or regista:// "
    "for the registry of your profile (REGISTA_URL)."
)


@dataclass(frozen=True, slots=True)
class FilesUri:
    """Verified files at a registry. `path` begins with the hexadecimal digest of an artifact.

    It is empty for all artifacts: MLflow's client takes the last part of a URI for a path below the others.
    """

    registry: str
    path: str

    @property
    def uri(self) -> str:
        """The URI for MLflow's client."""
        scheme, _, rest = self.registry.partition("://")
        own = next(name for name, called in SCHEMES.items() if called == scheme)
        return f"{own}://{rest.rstrip('/')}{_FILES}/{quote(self.path)}".rstrip("/")

    def at(self, below: str) -> tuple[str, str]:
        """Return the digest of the artifact, and the path in it, of a path below this one. Raises Invalid."""
        digest, _, path = f"{self.path}/{below}".strip("/").partition("/")
        if not _HEX.fullmatch(digest):
            raise _no_files(f"{self.uri}/{below}")
        return f"sha256:{digest}", path


def registry_url(uri: str) -> str:
    """Return the URL of the registry that a registry URI names, "" for the one of the profile.

    Raises Invalid.
    """
    try:
        parts = urlsplit(uri.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in SCHEMES or parts.query or parts.fragment or (not host and parts.path.strip("/")):
        raise Invalid("invalid_registry_uri", f"{uri!r:.120} names no registry", advice=_ADVICE)
    if "@" in parts.netloc:
        detail = "a registry URI has no user and no password: other programs see it"
        raise Invalid("invalid_registry_uri", detail, advice="Set REGISTA_API_KEY, or run `regista login`.")
    if not host:
        return ""
    return f"{SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"


def files_uri(uri: str) -> FilesUri:
    """Return the files that an artifact URI names. Raises Invalid."""
    parts = urlsplit(uri)
    prefix, found, path = f"{parts.path}/".partition(f"{_FILES}/")
    if parts.scheme not in SCHEMES or not parts.netloc or not found:
        raise _no_files(uri)
    registry = registry_url(f"{parts.scheme}://{parts.netloc}{prefix}")
    return FilesUri(registry, unquote(path).strip("/"))


def _no_files(uri: str) -> Invalid:
    return Invalid(
        "invalid_artifact_uri",
        f"{uri!r:.200} names no files of a version",
        advice="Use the URI that get_model_version_download_uri returns.",
    )


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def same_service(one: str, other: str) -> bool:
    """Return whether two URLs name the same address."""
    paths = [urlsplit(url).path.rstrip("/") for url in (one, other)]
    return origin(one) == origin(other) and paths[0] == paths[1]
