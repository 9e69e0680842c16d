"""Keep a sign-in on this machine: sealed by a key in the system's keyring, else in a file of mode 0600."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock, Timeout

from regista.client.profile import Profile, config_file
from regista.errors import Unauthorized, Unavailable
from regista.files import replace_file
from regista.local_errors import writing
from regista.login.tokens import AGAIN, Tokens

SERVICE = "regista"
"""The name of the entries in the keyring."""
PATIENCE = 60.0  # seconds for another process that refreshes the same sign-in
_NONCE, _KEY = 12, 32  # bytes


class _File(msgspec.Struct, frozen=True):
    """The content of the file: either is None. `sealed` is base64 of a nonce and AES-GCM's output."""

    registry: str
    sealed: str | None = None
    tokens: Tokens | None = None


class KeptLogin:
    """The sign-in of a profile at its registry. Each registry and each profile has one of its own.

    Systems limit what an entry of a keyring may hold to less than a token needs. So the keyring has a key,
    and the file what it seals. Without a keyring, the file has the tokens, and only its owner reads it.
    """

    def __init__(self, profile: Profile) -> None:
        self._registry = profile.url.rstrip("/")
        self._name = hashlib.sha256(f"{self._registry}\n{profile.name}".encode()).hexdigest()[:24]
        self._path = config_file().parent / "logins" / f"{self._name}.json"

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def exists(self) -> bool:
        """Return whether a sign-in is kept."""
        return self._path.exists()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time refresh or end this sign-in. Raises Unavailable."""
        self._make_folder()
        lock = FileLock(self._path.with_suffix(".lock"), timeout=PATIENCE, mode=0o600)
        try:
            with writing(self._path.parent), lock:
                yield
        except Timeout:
            raise Unavailable(
                "sign_in_locked",
                f"another process has held {self._path.with_suffix('.lock')} for {PATIENCE:g} s",
                advice="End the other `regista` process, then repeat.",
            ) from None

    def read(self) -> Tokens | None:
        """Return the tokens, or None. Raises Unauthorized when they cannot be opened."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as e:
            raise _unreadable(f"{self._path} cannot be read: {e}") from None
        if found.sealed is None:
            return found.tokens
        key = self._key()
        if key is None:
            raise _unreadable(f"the key of {self._path} is not in the system's keyring, or it is locked")
        try:
            sealed = base64.b64decode(found.sealed)
            opened = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], self._name.encode())
            return msgspec.json.decode(opened, type=Tokens)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            raise _unreadable(f"{self._path} was sealed by another key") from None

    def write(self, tokens: Tokens) -> bool:
        """Keep the tokens. Return whether a key in the keyring seals them. Raises RegistaError."""
        key = self._key() or self._new_key()
        if key is None:
            self._replace(_File(self._registry, tokens=tokens))
            return False
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + AESGCM(key).encrypt(nonce, msgspec.json.encode(tokens), self._name.encode())
        self._replace(_File(self._registry, sealed=base64.b64encode(sealed).decode()))
        return True

    def delete(self) -> None:
        """Delete the tokens and their key."""
        self._path.unlink(missing_ok=True)
        if keyring := _keyring():
            with contextlib.suppress(Exception):  # it may be absent or locked; alone it opens nothing
                keyring.delete_password(SERVICE, self._name)

    def _make_folder(self) -> None:
        with writing(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _replace(self, content: _File) -> None:
        self._make_folder()
        with writing(self._path.parent):
            replace_file(self._path, msgspec.json.encode(content).decode(), private=True)

    def _key(self) -> bytes | None:
        """Return the key in the keyring, or None."""
        if not (keyring := _keyring()):
            return None
        try:
            return bytes.fromhex(keyring.get_password(SERVICE, self._name) or "") or None
        except Exception:  # noqa: BLE001 - each system's keyring has errors of its own
            return None

    def _new_key(self) -> bytes | None:
        """Put a new key into the keyring. Return None when there is none that keeps it."""
        if not (keyring := _keyring()):
            return None
        key = secrets.token_bytes(_KEY)
        with contextlib.suppress(Exception):  # locked, or a person refused
            keyring.set_password(SERVICE, self._name, key.hex())
        return key if self._key() == key else None


def _keyring() -> ModuleType | None:
    """Return the module for the system's keyring, where it is installed."""
    try:
        import keyring  # noqa: PLC0415 - optional, and it looks for backends when it is imported
    except ImportError:
        return None
    return keyring


def _unreadable(detail: str) -> Unauthorized:
    return Unauthorized("sign_in_unreadable", detail, advice=AGAIN)
