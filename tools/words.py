"""List words that docs/words.md rules out: `python -m tools.words [FOLDER…]` lists them by folder."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = {".md", ".sql", ".yaml", ".yml", ".toml", ".sh", ".json", ".mako", ".in", ".xml", ".properties", ""}
SKIPPED = (
    "LICENSE",
    "docs/errors.md",  # generated from messages in the code, which are checked there
    "docs/words.md",  # names every word that it rules out
    "schemas/stored/*",  # stored events keep their fields
    "schemas/public/inbound/*",  # messages as they were once received
    "tools/words.py",
    "tests/architecture/test_words.py",
    "deploy/requirements/*.txt",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One word that is not used.

    `word` is its entry in docs/words.md, `pattern` finds it in prose, `names` are parts of identifiers that
    mean the same (`model_told`, `StoreAway`), and `whole_names` are identifiers. A match that begins with
    `allowed` is no use of the word.
    """

    word: str
    pattern: str
    use: str
    names: frozenset[str] = frozenset()
    whole_names: frozenset[str] = frozenset()
    flags: re.RegexFlag = re.IGNORECASE
    allowed: str = ""


def _rule(word: str, pattern: str, use: str, names: str = "") -> Rule:
    """Return a rule whose phrases may also be broken over two lines."""
    return Rule(word, rf"\b(?:{pattern})\b".replace(" ", r"\s+"), use, frozenset(names.split()))


RULES = (
    _rule("bell", "bells?", "wake-up", "bell bells"),
    _rule(
        "tell, told",
        "tells?|telling|told",
        "report, state, name, pass, return, send",
        "tell tells told telling",
    ),
    _rule("says, said", "says|said|saying", "state, report, contain, name", "says said"),
    _rule("speak of", "(?:speaks?|spoke|spoken|speaking) of", "name, concern"),
    _rule("hear", "hears?|heard|hearing", "receive, subscribe", "hear hears heard"),
    _rule("asks", "asks|asking|ask(?:ed)? again", "query, request; gates are assessed again", "asks asking"),
    _rule("knows", "knows", "store, have, record", "knows"),
    _rule(
        "remember",
        "remembers?|remembered|remembering",
        "store, record, keep",
        "remember remembers remembered",
    ),
    _rule("forget", "forgets?|forgot|forgotten|forgetting", "erase, drop, omit", "forget forgets forgotten"),
    _rule("away", "away", "unavailable, unreachable, not running", "away"),
    Rule(
        "letter",
        r"\b(?:dead[-\s#]+)?letters?\b(?!,? (?:a to z|then|case|or digit|and digit|digit|figure|number))",
        "dead letter",
        allowed="dead",
    ),
    _rule("bury", "bury|buries|buried|burying", "dead-letter (verb)", "bury buries buried"),
    _rule("born, birth", "born|births?", "created, at registration", "born birth"),
    _rule("wish", "wish|wishes|wished", "request, desired state", "wish wishes wished"),
    _rule(
        "whoever, somebody, nobody, anybody",
        "who(?:so)?ever|somebody|nobody|anybody",
        "the actor by name; no one",
        "whoever somebody nobody anybody",
    ),
    _rule("anew", "anew", "again", "anew"),
    _rule("for ever", "for ever|forever|ever after", "permanently, never deleted", "forever"),
    _rule(
        "at once",
        "at once",
        "immediately; in one step; at the same time",
    ),
    _rule("by and by", "by and by", "later"),
    _rule("way back", "ways? back", "rollback, rollback target"),
    _rule("look back", "look(?:s|ed|ing)?[ -]backs?", "after-review"),
    _rule("break the glass", "(?:break|breaks|broke|breaking|broken) the glass", "break-glass override"),
    _rule("lean", "lean|leaner", "compact, small", "lean"),
    _rule("honest", "honest|honestly", "accurate", "honest"),
    _rule("calm, steady", "calm|steady", "name what it does", "calm steady"),
    _rule("ground", "ground", "name what it is", "ground"),
    Rule(
        "place (a class or variable)",
        r"(?!)",  # "place a legal hold" is a verb: only names are checked
        "ModelRef, Location, Position, Folder, PageKey",
        whole_names=frozenset({"place", "places", "Place"}),
        flags=re.NOFLAG,
    ),
)
_ANY = re.compile(rf"\b(?:{'|'.join(rule.pattern for rule in RULES)})", re.IGNORECASE)
"""A match of some rule. Every pattern begins at a word; the first `\\b` tries them at words only."""
_ANY_NAMES = frozenset().union(*(rule.names for rule in RULES))
_ANY_WHOLE_NAMES = frozenset().union(*(rule.whole_names for rule in RULES))
OTHERS = frozenset({"tell", "run_forever", "serve_forever"})
"""Names of the standard library."""
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("letter", "sdk/src/regista/wire/forms.py"): "letters of the alphabet",
    ("letter", "sdk/src/regista/cli/access.py"): "a letter on paper, in an example",
    ("letter", "services/console/pages/dead_letters.py"): "the same field, on a page",
    ("letter", "schemas/public/openapi/*"): "a field of an answer keeps its name",
    ("place (a class or variable)", "services/audit/shapes.py"): "a field of an answer keeps its name",
    ("place (a class or variable)", "sdk/src/regista/calls/audit.py"): "the same field, in the client",
    ("place (a class or variable)", "sdk/src/regista/shapes/*"): "written from the same field",
}
"""(entry, file pattern) → why the word stays there."""


@dataclass(frozen=True, slots=True)
class Found:
    """One use of a word that is ruled out."""

    path: str
    line: int
    text: str
    rule: Rule

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}: use {self.rule.use}"


def folder_of(path: str) -> str:
    """Return the folder of a file: `services/registry`, `shared/log`, `sdk`, `.` for the root."""
    parts = Path(path).parts
    depth = {"services": 2, "shared": 2, "tests": 3}.get(parts[0], 1)
    return "/".join(parts[:-1][:depth]) or "."


def find(prefixes: Sequence[str] = ()) -> list[Found]:
    """Return each use of a ruled-out word in the tracked files under the prefixes; without one, in all."""
    return [
        found
        for path in files()
        if not prefixes or any(path == one or path.startswith(one.rstrip("/") + "/") for one in prefixes)
        for found in in_file(path, (ROOT / path).read_text("utf-8"))
    ]


def in_file(path: str, text: str) -> Iterator[Found]:
    """Yield the ruled-out words in one file's text; of Python, in comments, strings and identifiers."""
    if path.endswith(".py"):
        if not _ANY.search(text) and not _names_one(text):
            return
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        for token, following in pairwise(tokens):
            if token.type in {tokenize.COMMENT, tokenize.STRING}:
                yield from _in_prose(path, token.start[0], token.string)
            elif token.type == tokenize.NAME and token.string not in OTHERS:
                is_function = following.string == "("
                yield from _in_name(path, token.start[0], token.string, is_function=is_function)
    else:
        yield from _in_prose(path, 1, text)


def _names_one(text: str) -> bool:
    """Return whether any identifier or word of the code could be ruled out; the tokens decide."""
    found = set(re.findall(r"[^\W\d]\w*", text))
    return not found.isdisjoint(_ANY_WHOLE_NAMES) or any(_parts(name) & _ANY_NAMES for name in found)


def _in_prose(path: str, line: int, text: str) -> Iterator[Found]:
    if not _ANY.search(text):
        return
    for rule in RULES:
        for match in re.finditer(rule.pattern, text, rule.flags):
            if rule.allowed and match.group().lower().startswith(rule.allowed):
                continue
            yield Found(path, line + text.count("\n", 0, match.start()), match.group(), rule)


def _in_name(path: str, line: int, name: str, *, is_function: bool) -> Iterator[Found]:
    parts = _parts(name)
    for rule in RULES if parts & _ANY_NAMES or name in _ANY_WHOLE_NAMES else ():
        verb = is_function and name.islower()
        if parts & rule.names or (name in rule.whole_names and not verb):
            yield Found(path, line, name, rule)


@cache
def _parts(name: str) -> frozenset[str]:
    """Return the words of an identifier, in lower case."""
    return frozenset(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


def files() -> list[str]:
    """Return the tracked files whose words are checked."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    return [
        path
        for path in listed.splitlines()
        if (path.endswith(".py") or Path(path).suffix in TEXT)
        and not any(fnmatch(path, pattern) for pattern in SKIPPED)
        and (ROOT / path).is_file()
    ]


def excepted(found: Found) -> bool:
    """Return whether EXCEPTIONS allows the use."""
    return any(word == found.rule.word and fnmatch(found.path, pattern) for word, pattern in EXCEPTIONS)


def by_folder(found: Iterable[Found]) -> dict[str, list[Found]]:
    """Return what was found, by the folder it is in."""
    grouped: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        grouped[folder_of(one.path)].append(one)
    return dict(sorted(grouped.items()))


def main() -> None:
    grouped = by_folder(one for one in find(sys.argv[1:]) if not excepted(one))
    for folder, uses in grouped.items():
        print(
            f"{folder}: {len(uses)}  "
            + ", ".join(f"{n} × {w}" for w, n in Counter(u.rule.word for u in uses).most_common())
        )
        if sys.argv[1:]:
            print("\n".join(f"  {use}" for use in uses))
    sys.exit(1 if grouped else 0)


if __name__ == "__main__":
    main()
