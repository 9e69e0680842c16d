"""The base of a new version: the version that it is compared with. docs/versions.md states the rule."""

from __future__ import annotations

from dataclasses import dataclass

from semver import Version

from services.registry.domain.model.past import champion_number
from services.registry.domain.model.state import LATEST, ModelState, latest, precedence
from services.registry.domain.versioning.bump import Claim

RECENT = 1_000
"""The number of newest versions among which a base is searched that the look-up did not find."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """`number` is the base, 0 for none. `is_known` is False when the declared base is no complete version.

    `is_free`: an exactly claimed number below the highest of its line was found to be free.
    """

    number: int = 0
    is_known: bool = True
    is_free: bool = False


def choose_base(state: ModelState, declared: int | str | None, claim: Claim) -> Chosen:
    """Return the base: the declared one, else the highest version that was ever Validated, else the highest.

    An exactly claimed number that is free and below that one is compared with the highest below itself.
    """
    found = _declared(state, declared) if declared is not None else state.highest_validated or state.highest
    version = state.versions.get(found)
    if version is None or not version.semver:
        return Chosen(is_known=declared is None)
    if not (claim.exact and claim.version):
        return Chosen(found)
    claimed = Version.parse(claim.version)
    is_older = declared is None and (claimed.major, claimed.minor, claimed.patch) < precedence(version.semver)
    if not is_older and claimed not in state.taken:
        return Chosen(found)
    below, is_free = _beside(state, claim.version)
    return Chosen(below if is_older and is_free else found, is_free=is_free)


def _declared(state: ModelState, declared: int | str) -> int:
    """Return the number that is declared, or that of a champion, an alias, `latest` or a semantic version.

    A semantic version that the look-up did not find was registered a moment ago, so it is searched among the
    newest versions only. An environment wins over an alias, as everywhere.
    """
    if isinstance(declared, int):
        return declared
    name = declared.removeprefix("@")
    if champion := champion_number(state, name):
        return champion
    if name in state.aliases:
        return state.aliases[name].number
    if name == LATEST:
        return latest(state, RECENT)
    newest = range(state.newest, max(0, state.newest - RECENT), -1)
    return next((n for n in newest if n in state.versions and state.versions[n].semver == declared), 0)


def _beside(state: ModelState, claimed: str) -> tuple[int, bool]:
    """Return the number of the highest version below a semantic version (0: none), and whether it is free.

    This reads all versions of the model. It is done for exact claims of old numbers only, which are rare: an
    index of all numbers would cost every command (ADR 0155).
    """
    at, below = precedence(claimed), (0, (-1, -1, -1))
    for number, version in state.versions.items():
        if version.semver:
            if version.semver == claimed:
                return 0, False
            found = precedence(version.semver)
            if below[1] < found < at:
                below = (number, found)
    return below[0], True
