"""Build the test vectors for other languages: schemas/vectors/. What was written once never changes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from regista.wire.digests import FileEntry, canonical, manifest_digest
from regista.wire.dsse import PAYLOAD_TYPE, pae
from regista.wire.keys import SigningKey

KEY = SigningKey(
    "Vectors000000001", "publisher:vectors", Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
)
OTHER = SigningKey("Vectors000000001", "publisher:vectors", Ed25519PrivateKey.from_private_bytes(bytes(32)))
DATA = '{"model":"fraud.cards","draft":true}'
PKCS8, SPKI = "302e020100300506032b657004220420", "302a300506032b6570032100"
Headers = dict[str, str]


def everything() -> Iterator[tuple[str, Any]]:
    """Yield the path of each file below schemas/, and its content."""
    yield "vectors/keys.json", keys()
    yield "vectors/artifacts.json", artifacts()
    yield "vectors/events.json", {"public_key": KEY.public.hex(), "cases": [*_valid(), *_invalid()]}


def keys() -> dict[str, Any]:
    """Return a key file, its public half, both in the forms of Java and Node, and a signature."""
    seed = KEY.private.private_bytes_raw()
    body = b"hello world"
    return {
        "file": json.loads(KEY.to_json()),
        "public_key": KEY.public.hex(),
        "pkcs8_der": PKCS8 + seed.hex(),
        "spki_der": SPKI + KEY.public.hex(),
        "signed": {
            "payload_type": PAYLOAD_TYPE,
            "body": body.decode(),
            "pae": pae(PAYLOAD_TYPE, body).decode(),
            "signature": base64.b64encode(KEY.sign(pae(PAYLOAD_TYPE, body))).decode(),
        },
    }


def artifacts() -> dict[str, Any]:
    """Return lists of files, the text that is hashed for each, and its digest."""
    empty, content = sha256(b"").hexdigest(), sha256(b"onnx").hexdigest()
    lists = {
        "one file": [("model.onnx", 4, content)],
        "sorted by path": [
            ("weights/b.bin", 0, empty),
            ("config.json", 4, content),
            ("weights/a.bin", 4, content),
        ],
        "upper case before lower case": [("a", 0, empty), ("B", 0, empty)],
        "a folder beside a name that goes on": [("a/b", 0, empty), ("a-b", 0, empty), ("a.b", 0, empty)],
        "not only ASCII": [("modèle.onnx", 4, content)],
        "by code points, not by UTF-16 units": [("\U0001f600.bin", 0, empty), ("\ufa11.bin", 0, empty)],
        "a size of 2^53 - 1": [("large.bin", 2**53 - 1, content)],
    }
    return {"cases": [_artifact(name, files) for name, files in lists.items()]}


def _artifact(name: str, given: Sequence[tuple[str, int, str]]) -> dict[str, Any]:
    files = [{"path": path, "size": size, "sha256": digest} for path, size, digest in given]
    text = canonical({"files": sorted(files, key=lambda f: str(f["path"]))}).decode()
    digest = manifest_digest(FileEntry(*one) for one in given)
    return {"name": name, "files": files, "hashed": text, "digest": digest}


def _headers(**changes: str) -> Headers:
    found = {
        "content-type": "application/json",
        "ce_id": "7f0b5f0e-6a0c-4f5e-9a53-1f6f0d5f0001",
        "ce_source": "/publishers/publisher:vectors",
        "ce_specversion": "1.0",
        "ce_type": "regista.ModelTrained.v1",
        "ce_subject": "fraud.cards",
        "ce_time": "2026-01-31T12:00:00Z",
        "ce_correlationid": "run-7",
        "ce_partitionkey": "fraud.cards",
    } | {name.replace("content_type", "content-type"): value for name, value in changes.items()}
    return {name: value for name, value in found.items() if value}


def _case(
    name: str,
    headers: Headers,
    *,
    signed: Sequence[str] = ("correlationid", "partitionkey"),
    instead: Mapping[str, str] | None = None,
    problem: str = "",
    key: SigningKey = KEY,
) -> dict[str, Any]:
    """Return a message. `instead` are the headers that were signed where they differ from those sent."""
    of_signer = headers | dict(instead or {})
    texts = [
        of_signer["ce_id"],
        of_signer["ce_source"],
        of_signer["ce_specversion"],
        of_signer["ce_type"],
        of_signer.get("content-type") or of_signer.get("ce_datacontenttype", ""),
        of_signer.get("ce_dataschema", ""),
        of_signer["ce_subject"],
        of_signer["ce_time"],
    ]
    extensions = [text for one in signed for text in (one, of_signer.get(f"ce_{one}", "fraud.cards"))]
    data = of_signer.get("value", DATA)
    digests = [sha256(text.encode()).digest() for text in (*texts, data, *extensions)]
    payload = sha256(b"".join(digests)).digest()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": key.key_id, "sig": base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode()}
        ],
    }
    sent = headers | ({"ce_signedextattrs": ",".join(signed)} if signed else {})
    sent["ce_dssematerial"] = base64.b64encode(json.dumps(envelope, separators=(",", ":")).encode()).decode()
    return {
        "name": name,
        "key": "fraud.cards",
        "headers": sent,
        "value": DATA,
        "digested": {"attributes": texts, "data": data, "extensions": extensions},
        "material": payload.hex(),
        "problem": problem,
    }


def _valid() -> Iterator[dict[str, Any]]:
    yield _case("all attributes", _headers(ce_dataschema="https://example.com/schema"))
    for name, time in {
        "whole seconds": "2026-01-31T12:00:00Z",
        "milliseconds that end in zero (JavaScript's toISOString)": "2026-01-31T12:00:00.250Z",
        "a fraction of zeros (Java's Instant)": "2026-01-31T12:00:00.000Z",
        "microseconds and +00:00 (Python's isoformat)": "2026-01-31T12:00:00.250000+00:00",
        "nanoseconds": "2026-01-31T12:00:00.123456789Z",
        "another zone": "2026-01-31T13:00:00.250+01:00",
        "t and z in lower case": "2026-01-31t12:00:00z",
    }.items():
        yield _case(f"time as sent: {name}", _headers(ce_time=time))
    yield _case(
        "time in the extension's form: UTC, no zeros at the end",
        _headers(ce_time="2026-01-31T13:00:00.250+01:00"),
        instead={"ce_time": "2026-01-31T12:00:00.25Z"},
    )
    yield _case("no datacontenttype", _headers(content_type=""))
    yield _case("a content type with a parameter", _headers(content_type="application/json; charset=utf-8"))
    yield _case(
        "ce_datacontenttype beside content-type (npm)", _headers(ce_datacontenttype="application/json")
    )
    yield _case("ce_datacontenttype alone", _headers(content_type="", ce_datacontenttype="application/json"))
    yield _case("partitionkey only as the record's key (PyPI)", _headers(ce_partitionkey=""))
    yield _case("no extensions", _headers(ce_correlationid="", ce_partitionkey=""), signed=())
    yield _case("extensions in another order", _headers(), signed=("partitionkey", "correlationid"))
    yield _case("an extension beyond ASCII", _headers(ce_correlationid="läuf-7"))


def _invalid() -> Iterator[dict[str, Any]]:
    altered = "the event was altered after it was signed"
    yield _case("another moment", _headers(), instead={"ce_time": "2026-01-31T12:00:01Z"}, problem=altered)
    yield _case(
        "other zeros than signed",
        _headers(ce_time="2026-01-31T12:00:00.25Z"),
        instead={"ce_time": "2026-01-31T12:00:00.250Z"},
        problem=altered,
    )
    yield _case("datacontenttype added", _headers(), instead={"content-type": ""}, problem=altered)
    yield _case(
        "datacontenttype removed",
        _headers(content_type=""),
        instead={"content-type": "application/json"},
        problem=altered,
    )
    yield _case("another type", _headers(), instead={"ce_type": "regista.ModelUsed.v1"}, problem=altered)
    yield _case("other data", _headers(), instead={"value": "{}"}, problem=altered)
    yield _case("another extension", _headers(), instead={"ce_correlationid": "run-8"}, problem=altered)
    unsigned = "extension attributes are not signed: correlationid"
    yield _case("an extension that is not signed", _headers(), signed=("partitionkey",), problem=unsigned)
    missing = "signed extension attributes are missing: causationid"
    yield _case(
        "an extension that is missing",
        _headers(),
        signed=("causationid", "correlationid", "partitionkey"),
        problem=missing,
    )
    yield _case("another key", _headers(), key=OTHER, problem="the signature does not verify with the key")
    differ = "content-type and ce_datacontenttype differ: send one of them"
    yield _case("two content types", _headers(ce_datacontenttype="text/json"), problem=differ)
