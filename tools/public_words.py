"""List public uses of words that mean something else in the field: `python -m tools.public_words`.

docs/words.md has the table. Public are the help of the command line, the OpenAPI documents, the list of error
codes, and the documents for users.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "SECURITY.md", "docs/*.md", "sdk/README.md", "services/*/README.md")
SKIPPED = {"docs/words.md"}  # names every word that it rules out


@dataclass(frozen=True, slots=True)
class PublicRule:
    """`pattern` finds the word; `stored` are names of stored events and Kafka messages that have it."""

    word: str
    pattern: str
    use: str
    stored: str = r"(?!)"


RULES = (
    PublicRule(
        "recall",
        r"recall",
        "withdraw, withdrawn, withdrawal",
        r"VersionRecalled|RecallProposed|ArtifactRecalled|Recalled, Expired|recalled_by|two[_ ]to[_ ]recall",
    ),
    PublicRule(
        "sweep",
        r"sweep|swept",
        "cleanup run",
        r"Sweep(?:Scheduled|Planned|Advanced|Finished)|`sweep-[^`]+`|domain/sweep\.py",
    ),
    PublicRule("released", r"\breleased\b", "available", r"hold(?: is)? released|released the legal hold"),
    PublicRule(
        "signature",
        r"(?:whose|model|target's|input|output|training,|`training`,) `?signature",
        "schema",
    ),
    PublicRule(
        "base",
        r"`base`|--base\b|\bbase=|\"base_semver\"|the base\b(?! model)",
        "compare_with, compared_with",
        r"is called `base`|`base`: what the version is compared with",
    ),
    PublicRule("subject", r"(?-i:\bSUBJECT\b)|--subject\b", "identity"),
    PublicRule("track", r"regista\.track|\btrack\(|`track`", "capture"),
    PublicRule(
        "checkpoint",
        r"(?<!log[ _-])(?<!log)checkpoint",
        "log checkpoint",
        r"(?:audit|wire)\.checkpoints?|checkpoints/v1|checkpoint_dir|checkpoint_copies|relay_checkpoint",
    ),
    PublicRule(
        "hold",
        r"\b(?:places?|releases?|a|the) holds?\b|\bregista hold\b|:hold\b|release-hold|\"held\"",
        "legal hold",
    ),
)


@dataclass(frozen=True, slots=True)
class Use:
    """A public use of a word."""

    where: str
    context: str
    rule: PublicRule

    def __str__(self) -> str:
        return f"{self.where}: …{self.context}…: use {self.rule.use}"


def uses(where: str, text: str) -> Iterator[Use]:
    """Yield the uses of the words in a text."""
    text = " ".join(text.replace("\\n", " ").split())
    for rule in RULES:
        pattern = re.compile(rf"(?P<stored>{rule.stored})|(?P<word>{rule.pattern})", re.IGNORECASE)
        for found in pattern.finditer(text):
            if found["word"] is not None:
                context = text[max(0, found.start() - 40) : found.end() + 20]
                yield Use(where, context, rule)


def texts() -> Iterator[tuple[str, str]]:
    """Yield each public text with its name."""
    for pattern in DOCUMENTS:
        for path in sorted(ROOT.glob(pattern)):
            if (name := str(path.relative_to(ROOT))) not in SKIPPED:
                yield name, path.read_text("utf-8")
    for path in sorted((ROOT / "schemas" / "public" / "openapi").glob("*.json")):
        yield str(path.relative_to(ROOT)), path.read_text("utf-8")
    yield from help_texts()


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield the help of each command that the help lists."""
    from regista.cli import root  # noqa: PLC0415

    yield from _help(root, click.Context(root, info_name="regista"))


def _help(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, str]]:
    yield ctx.command_path, command.get_help(ctx)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            if found is not None and not found.hidden:
                yield from _help(found, click.Context(found, parent=ctx, info_name=name))


def main() -> None:
    found = [use for where, text in texts() for use in uses(where, text)]
    print("\n".join(map(str, found)))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
