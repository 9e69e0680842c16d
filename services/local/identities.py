"""The identities that exist before the first login.

Each service (signing key) and one administrator (API key).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regista.wire.keys import generate_signing_key, load_signing_key, random_text
from services.kafka.topics import SERVICES
from services.local.folders import InstanceFolder, write_private
from shared.identity.access_view import new_api_key, verifier_of

ADMIN = "admin"
READERS = ("mirror",)
"""Services that read from the others by HTTP, each with an API key and the role auditor."""


@dataclass(frozen=True, slots=True)
class Identities:
    """The first identities of an instance.

    Secret halves stay in its folder; the specification contains public halves and hashes only.
    """

    folder: InstanceFolder

    @property
    def pepper_file(self) -> Path:
        """The secret that is needed to check the stored hash of an API key."""
        self.folder.secret("pepper")
        return self.folder.directory / "secrets" / "pepper"

    def signing_key_file(self, service: str) -> Path:
        """Return the file of the key with which a service signs its events."""
        path = self.folder.subfolder("secrets") / f"signing-{service}.json"
        if not path.exists():
            generate_signing_key(f"service:{service}", f"{service}{secrets.token_hex(4)}").save(path)
        return path

    def subject_of(self, person: str) -> str:
        """Return the subject of a person of the demo, the same at each start.

        It contains no name, because events are never deleted.
        """
        path = self.folder.subfolder("secrets") / f"subject-{person}"
        if not path.exists():
            write_private(path, f"u-{random_text(16).lower()}")
        return path.read_text().strip()

    def api_key_file(self, who: str) -> Path:
        """Return the file that holds the API key of the profile `who`."""
        return self.folder.subfolder("secrets") / f"api-key-{who}"

    def reader_key_file(self, service: str) -> Path:
        """Return the file of the API key with which a service of READERS reads from the others."""
        path = self.folder.subfolder("secrets") / f"reader-key-{service}"
        if not path.exists():
            write_private(path, new_api_key(self.pepper_file.read_text().strip()).text)
        return path

    @property
    def admin_key_file(self) -> Path:
        """The administrator's API key."""
        path = self.api_key_file(ADMIN)
        if not path.exists():
            write_private(path, new_api_key(self.pepper_file.read_text().strip()).text)
        return path

    def specification(self) -> dict[str, Any]:
        """Return the input of `python -m services.registry bootstrap --spec`."""
        return {"identities": [*(self._service(name) for name in SERVICES), self._admin()]}

    def _service(self, name: str) -> dict[str, Any]:
        key = load_signing_key(self.signing_key_file(name))
        keys = [{"key_id": key.key_id, "algorithm": "ed25519", "verifier": key.public.hex()}]
        roles: list[dict[str, str]] = []
        if name in READERS:
            keys.append(self._hashed(self.reader_key_file(name)))
            roles = [{"role": "auditor", "namespace": "*"}]
        return {"subject": f"service:{name}", "kind": "service", "name": name, "keys": keys, "roles": roles}

    def _hashed(self, file: Path) -> dict[str, str]:
        """Return what the log has of the API key in the file."""
        text, pepper = file.read_text().strip(), self.pepper_file.read_text().strip()
        return {
            "key_id": text.split("_")[1],
            "algorithm": "hmac-sha256",
            "verifier": verifier_of(text, pepper),
        }

    def _admin(self) -> dict[str, Any]:
        roles = [{"role": "admin", "namespace": "*"}]
        return {
            "subject": self.subject_of(ADMIN),
            "kind": "person",
            "name": "Administrator",
            "keys": [self._hashed(self.admin_key_file)],
            "roles": roles,
        }
