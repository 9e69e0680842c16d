"""The commands that make versions: register one, or complete a draft."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.registry.domain.model.metadata import Kind, Metadata, Tier, earlier_identity, identity
from services.registry.domain.versioning.bump import DEFAULT, BumpPolicy, Claim

NO_CLAIM = Claim()


@dataclass(frozen=True, slots=True)
class RegisterVersion:
    """Register a version of a model, or of a new model.

    With `new_model` no model had the name when it was looked up; `model_id` is then made from the cause.
    `kind`, `owner`, `description` and `tags` count only for a new model; `tier` may also be raised. `stated`:
    which of these the message gives. `strict`: refuse rather than leave something out. `base` is a number, an
    environment, an alias, or a semantic version that the look-up did not find. `by` is the actor's subject,
    `started_by` who started the job that acts. `policy` states which changes count. The streams of all
    parents are written, too; for a parent whose model does not exist the command depends on `name-<name>`.
    `unknown_creator`: no identity has the creator's name.
    """

    model_id: str
    model: str
    metadata: Metadata
    new_model: bool = False
    draft: bool = False
    kind: Kind | None = None
    owner: str = ""
    tier: Tier | None = None
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    claim: Claim = NO_CLAIM
    base: int | str | None = None
    by: str = ""
    started_by: str = ""
    stated: frozenset[str] = frozenset()
    strict: bool = False
    unknown_creator: bool = False
    policy: BumpPolicy = DEFAULT
    identity: str = field(init=False)
    earlier_identity: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", identity(self.metadata))
        object.__setattr__(self, "earlier_identity", earlier_identity(self.metadata))

    @property
    def identities(self) -> tuple[str, ...]:
        """The identity of the version, that which versions of earlier releases have, and an import's key."""
        imported = self.metadata.imported_from
        return (*([imported.key] if imported else ()), self.identity, self.earlier_identity)


@dataclass(frozen=True, slots=True)
class AddMetadata:
    """Complete a draft, in one step or several. What is given replaces what was there.

    `keep_draft`: the version stays a draft even when nothing is missing. `by` and `started_by` are as above.
    """

    model_id: str
    number: int
    metadata: Metadata
    keep_draft: bool = False
    expected: int | None = None
    claim: Claim = NO_CLAIM
    base: int | str | None = None
    by: str = ""
    started_by: str = ""
    policy: BumpPolicy = DEFAULT


Registering = RegisterVersion | AddMetadata
