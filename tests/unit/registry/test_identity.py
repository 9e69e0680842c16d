"""The identity of a version: what makes a repeated registration the same one."""

from __future__ import annotations

from dataclasses import replace

from services.registry.domain.model.metadata import Metadata, Parent, earlier_identity, identity
from tests.unit.registry.given import SIGNATURE, a_digest, metadata

URL = "hf://google/bert-base@5c3fe2"


def test_a_document_without_later_fields_has_the_identity_that_it_always_had():
    stored = "sha256:a8c0ea590f6cf5f955844aaa025ed6b39a4e3071b74be16c667ae65ee921f6d7"
    assert earlier_identity(metadata(1)) == stored


def test_how_inputs_are_given_is_part_of_the_identity():
    named = replace(metadata(1), signature=replace(SIGNATURE, inputs_by="name"))
    assert identity(named) != identity(metadata(1))


def test_the_bytes_of_an_outside_parent_are_part_of_the_identity():
    def made_from(digest: str) -> Metadata:
        return replace(metadata(1), parents=(Parent(URL, 0, "base_model", digest=digest),))

    assert identity(made_from(a_digest(1))) != identity(made_from(a_digest(2)))
