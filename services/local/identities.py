"""The identities that exist before anybody can log in: each service (with its signing key) and one administrator (with an API key)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regista.wire.keys import generate_signing_key, load_signing_key, random_text
from services.local.places import Place, write_private
from services.local.topics import SERVICES
from shared.identity.access_view import new_api_key, verifier_of

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identities:
    """The first identities of an instance.

    Secret halves stay in its folder; the specification holds public halves and hashes only.
    """

    place: Place

    @property
    def pepper_file(self) -> Path:
        """With it, what is stored of an API key can be checked; without it, not."""
        self.place.secret("pepper")
        return self.place.directory / "secrets" / "pepper"

    def signing_key_file(self, service: str) -> Path:
        """The key by which a service signs its events."""
        path = self.place.folder("secrets") / f"signing-{service}.json"
        if not path.exists():
            generate_signing_key(f"service:{service}", f"{service}{secrets.token_hex(4)}").save(path)
        return path

    def subject_of(self, person: str) -> str:
        """The subject of somebody called so on this machine, the same at each start.

        It says nothing about them: events hold it for ever.
        """
        path = self.place.folder("secrets") / f"subject-{person}"
        if not path.exists():
            write_private(path, f"u-{random_text(16).lower()}")
        return path.read_text().strip()

    def api_key_file(self, who: str) -> Path:
        """Where the API key of somebody who uses this instance from this machine is kept.

        `who` is their profile's name.
        """
        return self.place.folder("secrets") / f"api-key-{who}"

    @property
    def admin_key_file(self) -> Path:
        """The administrator's API key."""
        path = self.api_key_file(ADMIN)
        if not path.exists():
            write_private(path, new_api_key(self.pepper_file.read_text().strip()).text)
        return path

    def specification(self) -> dict[str, Any]:
        """What `python -m services.registry bootstrap --spec` reads."""
        return {"identities": [*(self._service(name) for name in SERVICES), self._admin()]}

    def _service(self, name: str) -> dict[str, Any]:
        key = load_signing_key(self.signing_key_file(name))
        public = {"key_id": key.key_id, "algorithm": "ed25519", "verifier": key.public.hex()}
        return {"subject": f"service:{name}", "kind": "service", "name": name, "keys": [public], "roles": []}

    def _admin(self) -> dict[str, Any]:
        text, pepper = self.admin_key_file.read_text().strip(), self.pepper_file.read_text().strip()
        hashed = {
            "key_id": text.split("_")[1],
            "algorithm": "hmac-sha256",
            "verifier": verifier_of(text, pepper),
        }
        roles = [{"role": "admin", "namespace": "*"}]
        return {
            "subject": self.subject_of(ADMIN),
            "kind": "person",
            "name": "Administrator",
            "keys": [hashed],
            "roles": roles,
        }
