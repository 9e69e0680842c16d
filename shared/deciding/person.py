"""Compare people by their names: who is the same person, also after a name was erased. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_IGNORABLE = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""Default_Ignorable_Code_Point of Unicode 16: characters that show nothing."""
_DROPPED = {code for first, last in _IGNORABLE for code in range(first, last + 1)}


def folded_name(name: str) -> str:
    """Return a name as two names are compared.

    Without case, in one Unicode form (NFKC_Casefold of Unicode 16), without characters that show nothing, and
    with single spaces. Two identities with one folded name count as one person.
    """
    if name.isascii():
        return " ".join(_shown(name.lower()).split())
    once = unicodedata.normalize("NFKC", name).casefold()
    plain = "".join(c for c in once if ord(c) not in _DROPPED)
    return " ".join(_shown(unicodedata.normalize("NFKC", plain)).split())


def _shown(name: str) -> str:
    """Return the name without control and format characters. Tabs and line breaks stay: they are spaces."""
    if name.isprintable():
        return name
    return "".join(c for c in name if c.isspace() or unicodedata.category(c) not in {"Cc", "Cf"})


@dataclass(frozen=True, slots=True)
class ErasedName:
    """A name that was erased: the digest of its folded form, with the salt of its subject."""

    salt: bytes
    digest: str

    def is_of(self, folded: str) -> bool:
        return self.digest == digest_of(self.salt, folded)


def digest_of(salt: bytes, folded: str) -> str:
    """Return the digest that is kept of an erased name."""
    return hashlib.sha256(salt + folded.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Person:
    """All by which a person is recognised: the subject, printed names now and before, and erased names."""

    subject: str
    names: tuple[str, ...] = ()
    erased: tuple[ErasedName, ...] = ()

    def is_among(self, people: Iterable[str]) -> bool:
        """Return whether one of these subjects or names is this person's."""
        others = {folded_name(name) for name in people if name}
        own = {folded_name(name) for name in (self.subject, *self.names) if name}
        return not own.isdisjoint(others) or any(e.is_of(name) for e in self.erased for name in others)

    def is_same(self, other: Person) -> bool:
        """Return whether both have a subject or a name in common, one of which may be erased."""
        return self.is_among((other.subject, *other.names)) or other.is_among((self.subject, *self.names))


def is_one_of(who: str, others: Iterable[str], people: Mapping[str, Person]) -> bool:
    """Return whether `who` is the same person as one of the others.

    `people`: by subject or name, as they were looked up. One that was not has only its subject.
    """
    me = people.get(who, Person(who))
    return any(me.is_same(people.get(other, Person(other))) for other in others if other)
