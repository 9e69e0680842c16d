"""Where a job has its token: a variable (GitLab), a file (Kubernetes), or a request (GitHub Actions)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from regista.client.profile import Profile
from regista.client.trust import certificate_error, not_trusted
from regista.errors import NotConfigured, Unavailable

VARIABLE, FILE = "REGISTA_ID_TOKEN", "REGISTA_ID_TOKEN_FILE"
GITHUB_URL, GITHUB_SECRET = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
AUDIENCE = "REGISTA_ID_TOKEN_AUDIENCE"
DEFAULT_AUDIENCE = "regista"
TRUST = "REGISTA_TRUST"
LARGEST = 32 * 1024
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Source:
    """Where the token is. `name` is the variable that names it, `secret` the credential of a request."""

    name: str
    where: str = field(repr=False)
    secret: str = field(default="", repr=False)
    audience: str = DEFAULT_AUDIENCE

    def token(self, http: httpx.Client) -> str:
        """Return the token of the job. Raises NotConfigured and Unavailable."""
        if self.name == VARIABLE:
            return self.where.strip()
        if self.name == FILE:
            return _read(Path(self.where))
        return _requested(http, self)


def source_of(profile: Profile, environment: Mapping[str, str] = os.environ) -> Source | None:
    """Return where this process has the token of a job; None outside of one, or where it has an API key."""
    if profile.api_key or not profile.url:
        return None
    for name in (VARIABLE, FILE):
        if given := environment.get(name):
            return Source(name, given)
    if (url := environment.get(GITHUB_URL)) and (secret := environment.get(GITHUB_SECRET)):
        return Source(GITHUB_URL, url, secret, environment.get(AUDIENCE) or DEFAULT_AUDIENCE)
    return None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise NotConfigured(
            "not_configured",
            f"{FILE}: {path} cannot be read: {e}",
            advice="Mount the token of the service account there (a projected volume).",
        ) from None


def _requested(http: httpx.Client, source: Source) -> str:
    """Return the token that GitHub gives the job, for this audience."""
    parts = urlsplit(source.where)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise NotConfigured("not_configured", f"{GITHUB_URL} does not begin with https://")
    url = httpx.URL(source.where).copy_merge_params({"audience": source.audience})
    try:
        got = http.get(url, headers={"Authorization": f"Bearer {source.secret}"})
        token = msgspec.json.decode(got.content, type=dict).get("value") if got.is_success else None
    except httpx.TransportError as e:
        if untrusted := certificate_error(e):
            raise not_trusted("GitHub's tokens", untrusted) from e
        raise Unavailable("unreachable", f"{GITHUB_URL} did not answer ({type(e).__name__})") from e
    except (msgspec.MsgspecError, UnicodeDecodeError):
        token = None
    if not isinstance(token, str) or not token:
        raise Unavailable(
            "no_job_token",
            f"{GITHUB_URL} answered {got.status_code}, and no token",
            advice="Give the job `permissions: id-token: write`.",
        )
    return token
