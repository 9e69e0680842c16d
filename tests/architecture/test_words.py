"""Prose, messages and identifiers use the words of docs/words.md."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import pytest

from tools import words

DOCUMENT = words.ROOT / "docs" / "words.md"
FOUND = words.find()
OFFENDERS = words.by_folder(one for one in FOUND if not words.excepted(one))
FOLDERS = sorted({words.folder_of(path) for path in words.files()})


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_uses_no_word_that_the_list_rules_out(folder: str) -> None:
    assert [str(one) for one in OFFENDERS.get(folder, [])] == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.md", "The bell rings.\nA dead letter and a letter.", ["1 bell", "2 letter"]),
        ("a.md", "names of at most 63 letters, digits and dots", []),
        ("a.md", "What is\nat once and For\nEver", ["2 For\nEver", "2 at once"]),
        ("a.md", "a dead\nletter", []),
        ("a.py", '"""Return it.\n\nNobody may."""', ["3 Nobody"]),
        ("a.py", "x = 1  # whoever asks", ["1 asks", "1 whoever"]),
        ("a.py", "def _model_told(StoreAway): ...", ["1 StoreAway", "1 _model_told"]),
        ("a.py", "placed = place_hold(background); place(hold); file.tell()", []),
        ("a.py", "place = Place()", ["1 Place", "1 place"]),
        ("a.md", "Place a legal hold. Use a letter, then letters a to z.", []),
        ("a.sql", "-- Nobody updates; a LegalHoldPlaced stays", ["1 Nobody"]),
    ],
)
def test_words_are_found_in_prose_strings_comments_and_names(
    path: str, text: str, expected: list[str]
) -> None:
    assert sorted(f"{one.line} {one.text}" for one in words.in_file(path, text)) == sorted(expected)


def test_the_document_lists_the_same_words() -> None:
    table = DOCUMENT.read_text("utf-8").partition("## Words that are not used")[2]
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", table, re.MULTILINE))
    del rows["not"]
    assert sorted(rows) == sorted(rule.word for rule in words.RULES)


def test_every_exception_is_still_needed() -> None:
    unused = [
        (word, pattern)
        for word, pattern in words.EXCEPTIONS
        if not any(one.rule.word == word and fnmatch(one.path, pattern) for one in FOUND)
    ]
    assert unused == []
