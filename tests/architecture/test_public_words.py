"""Public texts leave words to the meaning that they have in the field."""

from __future__ import annotations

import re

import pytest

from tools import public_words

TEXTS = dict(public_words.texts())


@pytest.mark.parametrize("where", sorted(TEXTS))
def test_a_public_text_uses_no_word_that_means_something_else_in_the_field(where: str) -> None:
    assert [str(use) for use in public_words.uses(where, TEXTS[where])] == []


def test_the_help_of_every_command_is_read() -> None:
    assert {"regista", "regista withdraw", "regista audit events"} <= TEXTS.keys()


def test_names_of_stored_events_are_no_uses() -> None:
    text = "VersionRecalled is the event of a recall"
    assert [use.context for use in public_words.uses("a.md", text)] == [text]


def test_the_document_lists_the_same_words() -> None:
    table = (public_words.ROOT / "docs" / "words.md").read_text("utf-8").partition("## Public words")[2]
    rows = re.findall(r"^\| (\w+)[^|]*\|", table.partition("\n## ")[0], re.MULTILINE)
    assert rows[1:] == [rule.word for rule in public_words.RULES]
