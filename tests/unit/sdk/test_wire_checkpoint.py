from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from regista.wire.checkpoint import BadCheckpoint, Checkpoint, opened, parsed_key, signed, verifier_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = Checkpoint("regista.dev/log", 7, bytes(32))


def test_a_signed_checkpoint_opens_to_what_was_signed():
    assert opened(signed(HEAD, "regista.dev/log", KEY), "regista.dev/log", PUBLIC) == HEAD


def test_the_note_has_the_form_of_c2sp():
    lines = signed(HEAD, "regista.dev/log", KEY).split("\n")
    assert lines[:4] == ["regista.dev/log", "7", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ""]
    assert lines[4].startswith("— regista.dev/log ")
    assert lines[5:] == [""]


def test_the_verifier_key_names_hash_and_type():
    name, hash_, _key = verifier_key("regista.dev/log", PUBLIC).split("+", 2)
    assert (name, len(hash_)) == ("regista.dev/log", 8)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note.replace("\n7\n", "\n8\n"),
        lambda note: note.replace("— regista", "— other"),
        lambda note: note[:-8] + "AAAAAA=\n",
        lambda note: note.replace("\n\n", "\n"),
        lambda _note: "",
        lambda note: note + "no signature line\n",
    ],
)
def test_a_changed_note_does_not_open(spoil):
    with pytest.raises(BadCheckpoint):
        opened(spoil(signed(HEAD, "regista.dev/log", KEY)), "regista.dev/log", PUBLIC)


def test_a_note_signed_by_another_key_does_not_open():
    with pytest.raises(BadCheckpoint):
        opened(signed(HEAD, "regista.dev/log", Ed25519PrivateKey.generate()), "regista.dev/log", PUBLIC)


def test_a_cosignature_of_an_unknown_key_does_no_harm():
    note = (
        signed(HEAD, "regista.dev/log", KEY)
        + signed(HEAD, "witness", Ed25519PrivateKey.generate()).rpartition("\n\n")[2]
    )
    assert opened(note, "regista.dev/log", PUBLIC) == HEAD


def test_a_verifier_key_is_read_back():
    assert parsed_key(verifier_key("regista.dev/log", PUBLIC) + "\n") == ("regista.dev/log", PUBLIC)


@pytest.mark.parametrize(
    "text", ["", "name", "name+00000000+", "name+00000000+" + "A" * 44, "+00000000+AQ=="]
)
def test_what_is_no_verifier_key_is_refused(text: str):
    with pytest.raises(BadCheckpoint, match="key"):
        parsed_key(text)


def test_a_verifier_key_whose_hash_is_of_another_is_refused():
    other = verifier_key("regista.dev/log", bytes(32)).split("+")[1]
    name, _, key = verifier_key("regista.dev/log", PUBLIC).split("+", 2)
    with pytest.raises(BadCheckpoint):
        parsed_key(f"{name}+{other}+{key}")
