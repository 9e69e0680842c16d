"""Exchange the token of a job at the registry (RFC 8693), and replace the key before it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.client.trust import certificate_error, not_trusted
from regista.errors import RegistaError, Unauthorized, Unavailable, from_problem
from regista.job.kept import JobKey, KeptKeys
from regista.job.sources import GITHUB_URL, TRUST, Source, source_of
from regista.login.requests import connection
from regista.wire.keys import SigningKey, generate_signing_key, read_signing_key

PATH = "/v1/tokens:exchange"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
BUSY = frozenset({408, 429, 502, 503, 504})
PATIENT = Patience(attempts=6, first=0.5, total=60.0)
AGAIN = (
    "Each token of a job counts once, and a key ends with its token: let the issuer's tokens last as long as "
    "the job, or publish from a job of its own."
)
COMPARE = "Compare the token's claims with the trusts: an admin lists them with `regista access trust list`."


class Job:
    """What a job authenticates with. The methods block; several threads and processes may call them."""

    def __init__(self, profile: Profile, source: Source, environment: Mapping[str, str] = os.environ) -> None:
        self._profile, self._source = profile, source
        self._trust = environment.get(TRUST, "")
        self._registry = profile.need("url").rstrip("/")
        self._kept = KeptKeys(self._registry)
        self._key: JobKey | None = None
        self._lock = threading.Lock()

    def held(self) -> JobKey | None:
        """Return the key when it need not be replaced, without any I/O."""
        return self._key if self._key is not None and self._key.fresh(time.time()) else None

    def key(self) -> JobKey:
        """Return a key that is valid for a while. Raises RegistaError when the registry refuses the job."""
        with self._lock:
            if (held := self.held()) is not None:
                return held
            with connection(self._profile) as http:
                try:
                    self._key = self._replaced(http, self._source.token(http))
                except Unavailable:
                    if self._key is None or not self._key.valid(time.time()):
                        raise
            return self._key

    def signing_key(self) -> SigningKey:
        """Return the signing key of this job, for Kafka. Raises RegistaError."""
        key = self.key()
        if not key.signing_key:
            raise Unauthorized(
                "no_signing_key",
                "the key of this job was exchanged without one for Kafka",
                advice="Set REGISTA_KAFKA_BOOTSTRAP for all commands of the job.",
            )
        return read_signing_key(key.signing_key)

    def _replaced(self, http: httpx.Client, token: str) -> JobKey:
        """Return the key of a token: the one that it was exchanged for before, or a new one."""
        if self._source.name == GITHUB_URL:  # it gives another token each time
            return self._exchanged(http, token)
        with self._kept.locked(token):
            if (kept := self._kept.find(token)) is not None:
                return kept
            key = self._exchanged(http, token)
            self._kept.keep(token, key)
            return key

    def _exchanged(self, http: httpx.Client, token: str) -> JobKey:
        signing = None
        fields = {"grant_type": GRANT, "subject_token": token, "subject_token_type": JWT}
        if self._trust:
            fields["trust"] = self._trust
        if self._profile.kafka_bootstrap and not self._profile.key_file:
            signing = generate_signing_key("")
            fields["public_key"] = signing.public.hex()
        answer = self._sent(http, fields)
        try:
            lifetime = float(answer["expires_in"])
            publisher, key_id = str(answer["publisher"]), str(answer.get("signing_key_id") or "")
            own = SigningKey(key_id, publisher, signing.private).to_json() if signing and key_id else ""
            started_by, api_key = str(answer["started_by"]), str(answer["access_token"])
        except (KeyError, TypeError, ValueError):
            raise Unavailable(
                "not_regista",
                f"{self._registry} did not answer with a key: is this the registry's URL?",
            ) from None
        return JobKey(api_key, publisher, started_by, time.time() + lifetime, lifetime, own)

    def _sent(self, http: httpx.Client, fields: Mapping[str, str]) -> Mapping[str, Any]:
        """Send the form, again after an answer that may pass."""
        for attempt in range(PATIENT.attempts):
            try:
                got = http.post(self._registry + PATH, data=dict(fields))
            except httpx.TransportError as e:
                if untrusted := certificate_error(e):
                    raise not_trusted(f"the registry at {self._registry}", untrusted) from e
                error: RegistaError = Unavailable(
                    "unreachable", f"the registry at {self._registry} did not answer ({type(e).__name__})"
                )
            else:
                found = _object(got)
                if got.is_success:
                    return found
                error = _refused(got.status_code, found)
                if got.status_code not in BUSY:
                    raise error
            if attempt + 1 < PATIENT.attempts:
                time.sleep(PATIENT.pause(attempt, None))
        raise error


def job_of(profile: Profile) -> Job | None:
    """Return what the job that this process runs in authenticates with; None outside of a job."""
    source = source_of(profile)
    return Job(profile, source) if source is not None else None


def _refused(status: int, problem: Mapping[str, Any]) -> RegistaError:
    error = from_problem(status, problem)
    if status != 400:
        return error
    advice = AGAIN if error.code in {"token_used", "token_expired"} else COMPARE
    refused = Unauthorized(error.code, error.detail, advice=advice, facts=error.facts)
    refused.status = status
    return refused


def _object(got: httpx.Response) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(got.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
