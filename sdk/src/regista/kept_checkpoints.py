"""Compare log checkpoints that were kept on this machine with the log as it is now, and prove single events.

Nothing of an answer of the service is believed without a signature or a proof.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from regista.errors import Damaged, Invalid, NotFound
from regista.wire.checkpoint import BadCheckpoint, Checkpoint, opened, parsed_key
from regista.wire.merkle import leaf_hash, verify_consistency, verify_inclusion

PROOF = "regista.proof.v1"
KEEP = "Keep both log checkpoints as evidence, and report it to the owners of the log."


class LogClient(Protocol):
    """What is needed of a client."""

    def log_checkpoints(self, limit: int = 20) -> Any:
        """Return the newest log checkpoints."""
        ...

    def consistency(self, first: int, size: int) -> Any:
        """Return the proof that one tree is a prefix of another."""
        ...

    def inclusion(self, leaf_index: int, size: int) -> Any:
        """Return the proof that an event is in a tree."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """A log checkpoint with its signed note."""

    checkpoint: Checkpoint
    note: str


def read(note: str, key: str) -> Signed:
    """Return the log checkpoint in a note. `key`: the verifier key of the log. Raises Invalid."""
    try:
        name, public = parsed_key(key)
        return Signed(opened(note, name, public), note)
    except BadCheckpoint as bad:
        raise Invalid(
            "log_checkpoint_not_signed",
            f"this is no log checkpoint signed by the key given: {bad}",
            advice="Name the file of a log checkpoint, and the key with which its log was signed.",
        ) from bad


def newest(client: LogClient, key: str = "") -> Signed:
    """Return the newest log checkpoint of the service. Without `key`, its own answer names the key.

    Raises Invalid, and NotFound while nothing is signed.
    """
    answer = client.log_checkpoints(1)
    if not answer["items"]:
        raise NotFound(
            "nothing_signed",
            "the log has no log checkpoint",
            advice="Wait until audit has sealed the first events; /readyz of audit names what it awaits.",
        )
    return read(answer["items"][0]["note"], key or answer["verifier_key"])


def check(client: LogClient, kept: Signed, now: Signed) -> None:
    """Prove that the log only grew between two log checkpoints. Raises Damaged with what differs."""
    old, new = kept.checkpoint, now.checkpoint
    if old.origin != new.origin:
        raise _differs(f"the log checkpoint kept is of the log {old.origin}, the service has {new.origin}")
    if new.size < old.size:
        raise _differs(
            f"the log checkpoint kept covers {old.size} events, the newest of the service only {new.size}:"
            " events are missing"
        )
    proof = client.consistency(old.size, new.size)["proof"] if old.size < new.size else []
    if not verify_consistency(old.size, old.root, new.size, new.root, _hashes(proof)):
        raise _differs(f"the log of {new.size} events does not continue the log checkpoint of {old.size}")


def _differs(what: str) -> Damaged:
    return Damaged("contradicts_log_checkpoint", what, advice=KEEP)


def _hashes(proof: Any) -> list[bytes]:
    try:
        return [bytes.fromhex(node) for node in proof]
    except (TypeError, ValueError):
        return []


def proof_of(client: LogClient, leaf_index: int, key: str = "") -> dict[str, Any]:
    """Return the proof of one event under the newest log checkpoint, after verifying it.

    Raises Damaged and NotFound.
    """
    now = newest(client, key)
    size = now.checkpoint.size
    if leaf_index >= size:
        raise NotFound(
            "not_signed_yet",
            f"the newest log checkpoint covers the leaves 0 to {size - 1}",
            advice="Wait a second and repeat, or name one of these leaves.",
        )
    answer = client.inclusion(leaf_index, size)
    proof = {name: answer[name] for name in ("leaf_index", "size", "proof", "stored")}
    proof = {"format": PROOF, **proof, "checkpoint": now.note}
    verify_proof(proof, key or client.log_checkpoints(1)["verifier_key"])
    return proof


class _Event(msgspec.Struct):
    id: str = ""
    type: str = ""
    stream: str = ""
    revision: int = 0
    recorded_at: str = ""
    reason: str = ""
    actor: dict[str, Any] = {}
    data: Any = None


def verify_proof(proof: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Verify the proof of one event without any service, and return what the event's bytes say.

    Raises Invalid for something that is no such proof, Damaged when it proves nothing.
    """
    try:
        stored = base64.b64decode(proof["stored"] or "", validate=True)
        index, size = int(proof["leaf_index"]), int(proof["size"])
        note, nodes, format_ = str(proof["checkpoint"]), _hashes(proof["proof"]), proof["format"]
    except KeyError as lacks:
        raise Invalid(
            "no_proof", f"this is no proof of an event: it has no field {lacks}", advice=_MAKE
        ) from lacks
    except (TypeError, ValueError, binascii.Error) as wrong:
        raise Invalid("no_proof", f"this is no proof of an event: {wrong}", advice=_MAKE) from wrong
    if format_ != PROOF:
        raise Invalid("no_proof", f"its format is not {PROOF}", advice=_MAKE)
    checkpoint = read(note, key).checkpoint
    if size != checkpoint.size or not verify_inclusion(
        leaf_hash(stored), index, size, nodes, checkpoint.root
    ):
        raise Damaged(
            "event_not_in_log",
            f"these bytes are not leaf {index} of the log checkpoint of {checkpoint.size} events",
            advice="Trust nothing in the file: the event or the proof was changed.",
        )
    try:
        event: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(stored, type=_Event))
    except msgspec.MsgspecError:
        event = {"bytes": stored.hex()}
    return {"leaf_index": index, "log": checkpoint.origin, "log_checkpoint": checkpoint.size} | event


_MAKE = "Make one with `regista audit proof`: it takes the event's leaf index, and --save names the file."
