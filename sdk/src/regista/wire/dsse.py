"""Signed events: the CloudEvents extension "Verifiable CloudEvents with DSSE" (v0.1), with Ed25519.

Regista is stricter than the extension in three points, so that a consumer reads only what was signed. Every
extension attribute must be signed (the extension drops unsigned ones), there is exactly one signature, and
the fraction of a second in `time` is signed.

Each attribute is digested as it is sent. For `time` the form of the extension is accepted, too: UTC with `Z`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature

from regista.wire.cloudevents import CORE, SPECVERSION, CloudEvent, NotACloudEvent, check, utc
from regista.wire.keys import (
    SigningKey,
    generate_signing_key,
    load_signing_key,
    read_signing_key,
    strict_public_key,
)

__all__ = [
    "PAYLOAD_TYPE",
    "BadSignature",
    "SigningKey",
    "Signs",
    "Verifies",
    "generate_signing_key",
    "key_id_of",
    "load_signing_key",
    "material",
    "pae",
    "read_signing_key",
    "sign",
    "verify",
]

PAYLOAD_TYPE = "https://cloudevents.io/verifiability/dsse/v0.1"
MAX_MATERIAL = 4096  # characters of dssematerial
_OWN = frozenset({"dssematerial", "signedextattrs"})
_EMPTY = sha256(b"").digest()
_SPECVERSION = sha256(SPECVERSION.encode()).digest()


class BadSignature(ValueError):  # noqa: N818 - names what the signature is
    """The event is unsigned, altered, or signed by another key; `reason` states which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Signature(msgspec.Struct, frozen=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True):
    payload: str
    payloadType: str  # noqa: N815 - the name in DSSE
    signatures: tuple[_Signature, ...]


_envelopes = msgspec.json.Decoder(_Envelope)


def pae(payload_type: str, body: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: the bytes that the key signs."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def material(event: CloudEvent, signed: tuple[str, ...]) -> bytes:
    """Return the 32 signed bytes: SHA-256 over the digests of attributes, data, and the named extensions.

    An attribute that is not set has the digest of no bytes.
    """
    parts = [
        _digest(event.id),
        _repeated(event.source),
        _SPECVERSION,
        _repeated(event.type),
        _repeated(event.datacontenttype),
        _digest(event.dataschema),
        _digest(event.subject),
        _digest(event.time),
        sha256(event.data).digest(),
    ]
    for name in signed:
        parts += [_repeated(name), _digest(event.extensions[name])]
    return sha256(b"".join(parts)).digest()


def _digest(value: str | None) -> bytes:
    return sha256(value.encode()).digest() if value else _EMPTY


_repeated = lru_cache(maxsize=4096)(_digest)
"""Caches the digests of repeated values: sources, types, names of attributes."""


class Signs(Protocol):
    """The private half of an Ed25519 key: a `SigningKey`, or the same in another library."""

    @property
    def key_id(self) -> str: ...
    def sign(self, data: bytes, /) -> bytes: ...


class Verifies(Protocol):
    """The public half of an Ed25519 key.

    `verify` raises InvalidSignature or ValueError unless the key signed the data.
    """

    def verify(self, signature: bytes, data: bytes, /) -> None: ...


def sign(event: CloudEvent, key: Signs) -> CloudEvent:
    """Return the event with `dssematerial` and `signedextattrs`, over all its attributes and data.

    Its `time` gets the form of the extension, so that every verifier digests the same text. Raises
    NotACloudEvent.
    """
    check(event)
    event = replace(event, time=utc(event.time))
    kept = {name: value for name, value in event.extensions.items() if name not in _OWN}
    signed = tuple(sorted(kept))
    payload = material(event, signed)
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {
                "keyid": key.key_id,
                "sig": base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode(),
            }
        ],
    }
    if signed:
        kept["signedextattrs"] = ",".join(signed)
    kept["dssematerial"] = base64.b64encode(msgspec.json.encode(envelope)).decode()
    return replace(event, extensions=kept)


def key_id_of(event: CloudEvent) -> str:
    """Return the id of the key that the event claims. Raises BadSignature."""
    return _read(event).signatures[0].keyid


def verify(event: CloudEvent, public_key: bytes | Verifies) -> None:
    """Raise BadSignature (and no other exception) unless this key signed exactly this event.

    `public_key`: the 32 raw bytes, or the key object (which saves parsing it again). The caller
    checks that the key belongs to `key_id_of(event)`, and that its owner may send this event.
    """
    envelope = _read(event)
    payload = _decode(envelope.payload)
    signature = _decode(envelope.signatures[0].sig)
    try:
        key: Verifies = strict_public_key(public_key) if isinstance(public_key, bytes) else public_key
        key.verify(signature, pae(PAYLOAD_TYPE, payload))
    except (InvalidSignature, ValueError):
        raise BadSignature("the signature does not verify with the key") from None
    names = _signed_names(event)
    try:
        as_sent = material(event, names)
        if hmac.compare_digest(as_sent, payload):
            return
        in_utc = material(replace(event, time=utc(event.time)), names)
    except (NotACloudEvent, UnicodeError) as e:
        raise BadSignature(f"the event cannot be digested: {e}") from None
    if not hmac.compare_digest(in_utc, payload):
        raise BadSignature(
            f"the event was altered after it was signed: its material is {as_sent.hex()}, signed was "
            f"{payload.hex()[:64]}"
        )


def _read(event: CloudEvent) -> _Envelope:
    text = event.extensions.get("dssematerial")
    if not text:
        raise BadSignature("the event is not signed: dssematerial is missing")
    if len(text) > MAX_MATERIAL:
        raise BadSignature(f"dssematerial is longer than {MAX_MATERIAL} characters")
    return _envelope(text)


@lru_cache(maxsize=16)
def _envelope(text: str) -> _Envelope:
    """Return the decoded envelope; cached, as a reader reads the id of the key first, then verifies."""
    try:
        envelope = _envelopes.decode(_decode(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise BadSignature("dssematerial is not a DSSE envelope") from None
    if envelope.payloadType != PAYLOAD_TYPE:
        raise BadSignature(f"the payload type of the signature is not {PAYLOAD_TYPE}")
    if len(envelope.signatures) != 1 or not envelope.signatures[0].keyid:
        raise BadSignature("exactly one signature with a keyid is expected")
    return envelope


def _decode(text: Any) -> bytes:
    """Decode canonical Base64, standard or URL-safe: a second spelling of a signature is a second message."""
    try:
        raw = base64.b64decode(standard := text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("the signature is not Base64") from None
    if base64.b64encode(raw).decode() != standard:
        raise BadSignature("the signature is not canonical Base64")
    return raw


def _signed_names(event: CloudEvent) -> tuple[str, ...]:
    listed = event.extensions.get("signedextattrs", "")
    names = tuple(listed.split(",")) if listed else ()
    if len(set(names)) != len(names) or not CORE.isdisjoint(names) or not _OWN.isdisjoint(names):
        raise BadSignature("signedextattrs repeats a name or names an attribute that is not allowed there")
    present = event.extensions.keys() - _OWN
    if gone := sorted(set(names) - present):
        raise BadSignature(f"signed extension attributes are missing: {', '.join(gone)[:200]}")
    if extra := sorted(present - set(names)):
        raise BadSignature(f"extension attributes are not signed: {', '.join(extra)[:200]}")
    return names
