"""A witness cosigns only a log that continues what it cosigned; a kept log checkpoint checks the log."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.errors import Damaged, Invalid
from regista.kept_checkpoints import check, proof_of, read, verify_proof
from regista.wire.checkpoint import BadCheckpoint, Checkpoint, opened, signed, verifier_key
from regista.wire.cosignature import cosigned, cosigned_at, parsed_witness_key
from regista.wire.keys import generate_signing_key
from regista.wire.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of
from regista.witness import Witness, serve

ORIGIN = "regista.log/test"
KEY, WITNESS = generate_signing_key("service:audit"), generate_signing_key("witness.example/one")
LOG_KEY = verifier_key(ORIGIN, KEY.public)


class Service:
    """What audit answers for a log of these stored bytes."""

    def __init__(self, *stored: bytes, origin: str = ORIGIN) -> None:
        self.stored, self.origin = list(stored), origin

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(one) for one in self.stored]

    def note(self) -> str:
        return signed(
            Checkpoint(self.origin, len(self.stored), root_of(self.leaves)), self.origin, KEY.private
        )

    def log_checkpoints(self, limit: int = 20) -> Any:
        return {"items": [{"note": self.note()}][:limit], "verifier_key": LOG_KEY}

    def consistency(self, first: int, size: int) -> Any:
        return {"proof": [n.hex() for n in consistency_proof(self.leaves[:size], first)]}

    def inclusion(self, leaf_index: int, size: int) -> Any:
        return {
            "leaf_index": leaf_index,
            "size": size,
            "proof": [n.hex() for n in inclusion_proof(self.leaves[:size], leaf_index)],
            "stored": base64.b64encode(self.stored[leaf_index]).decode(),
        }


def log_of(count: int) -> Service:
    return Service(*(b"event %d" % n for n in range(count)))


def test_a_growing_log_is_cosigned_at_each_size_it_is_seen(tmp_path: Path) -> None:
    witness, service = Witness(WITNESS, LOG_KEY, tmp_path), log_of(3)
    for extra in (b"a", b"b"):
        assert witness.look(service).size == len(service.stored)
        service.stored.append(extra)
    name, public = parsed_witness_key(witness.verifier_key)
    for size in (3, 4):
        note = witness.note(size)
        assert note is not None
        assert cosigned_at(note, name, public) > 0
        assert opened(note, ORIGIN, KEY.public).size == size
    assert witness.note() == witness.note(4)


@pytest.mark.parametrize("forged", [log_of(2), Service(*[b"x"] * 3), Service(*[b"x"] * 5)])
def test_a_log_that_shrank_or_changed_is_never_cosigned_also_not_after_a_restart(
    tmp_path: Path, forged: Service
) -> None:
    witness = Witness(WITNESS, LOG_KEY, tmp_path)
    witness.look(log_of(3))
    kept = witness.note()
    for _ in range(2):
        with pytest.raises(Damaged):
            witness.look(forged)
        witness = Witness(WITNESS, LOG_KEY, tmp_path)
        assert witness.contradicted
        assert witness.note() == kept
    assert [p.read_text() for p in tmp_path.glob("contradiction-*")] == [forged.note()]


def test_another_key_or_another_log_is_not_cosigned(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        Witness(WITNESS, verifier_key(ORIGIN, WITNESS.public), tmp_path).look(log_of(3))
    with pytest.raises(Invalid):
        Witness(WITNESS, LOG_KEY, tmp_path).look(Service(b"x", origin="regista.log/other"))
    assert not list(tmp_path.glob("*.note"))


def test_what_is_kept_is_served(tmp_path: Path) -> None:
    witness = Witness(WITNESS, LOG_KEY, tmp_path)
    server = serve(witness, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert httpx.get(f"{url}/checkpoint").status_code == 404
        witness.look(log_of(3))
        assert httpx.get(f"{url}/checkpoint").text == httpx.get(f"{url}/checkpoint/3").text == witness.note()
        assert httpx.get(f"{url}/key").text.strip() == witness.verifier_key
        assert httpx.get(f"{url}/healthz").status_code == 200
        with pytest.raises(Damaged):
            witness.look(log_of(2))
        assert httpx.get(f"{url}/healthz").json()["contradicted"]
        assert httpx.get(f"{url}/healthz").status_code == 503
    finally:
        server.shutdown()
        server.server_close()


@given(st.integers(0, 2**62), st.integers(0, 400), st.integers(0, 7))
@settings(deadline=None)
def test_a_changed_byte_of_a_cosigned_note_is_found(at: int, position: int, bit: int) -> None:
    name, public = WITNESS.subject, WITNESS.public
    note = cosigned(log_of(3).note(), name, WITNESS.private, at + 1)
    assert cosigned_at(note, name, public) == at + 1
    text = note.rpartition("\n\n")[0].encode()
    changed = bytearray(text)
    changed[position % len(text)] ^= 1 << bit
    try:
        forged = changed.decode() + note[len(text.decode()) :]
    except UnicodeDecodeError:
        return
    with pytest.raises(BadCheckpoint):
        cosigned_at(forged, name, public)


@given(st.integers(0, 20), st.integers(0, 20))
@settings(deadline=None)
def test_a_kept_checkpoint_is_continued_by_every_later_log_and_by_no_other(old: int, more: int) -> None:
    kept = read(log_of(old).note(), LOG_KEY)
    later = log_of(old + more)
    check(later, kept, read(later.note(), LOG_KEY))
    if old:
        other = Service(b"forged", *later.stored[1:])
        with pytest.raises(Damaged):
            check(other, kept, read(other.note(), LOG_KEY))
        shorter = log_of(old - 1)
        with pytest.raises(Damaged):
            check(shorter, kept, read(shorter.note(), LOG_KEY))


@given(st.integers(1, 30), st.data())
@settings(deadline=None)
def test_the_proof_of_an_event_verifies_without_a_service_and_no_changed_one_does(
    size: int, data: Any
) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = proof_of(log_of(size), index)
    assert verify_proof(proof, LOG_KEY)["leaf_index"] == index
    for changed in (
        proof | {"stored": base64.b64encode(b"forged").decode()},
        proof | {"leaf_index": index + 1},
        proof | {"size": size + 1},
        proof | {"proof": [*proof["proof"], "00" * 32]},
        proof | {"checkpoint": Service(*[b"x"] * (size + 1)).note()},
    ):
        with pytest.raises(Damaged):
            verify_proof(changed, LOG_KEY)
    for nonsense in ({}, proof | {"stored": "%"}, proof | {"format": "x"}, proof | {"checkpoint": "x"}):
        with pytest.raises(Invalid):
            verify_proof(nonsense, LOG_KEY)


def test_a_file_that_is_no_proof_is_answered_with_what_it_lacks() -> None:
    with pytest.raises(Invalid) as refused:
        verify_proof({}, LOG_KEY)
    assert refused.value.detail == "this is no proof of an event: it has no field 'stored'"
