"""Shapes of aliases and of what they resolve to."""

from __future__ import annotations

from pydantic import Field

from services.registry.shapes.common import LARGEST
from shared.http.routes import Body


class NewAlias(Body):
    """`protected`: only admins may move or remove the alias. When it is left out, the protection stays."""

    number: int = Field(ge=1, le=LARGEST)
    protected: bool | None = None


class AliasAnswer(Body):
    alias: str
    number: int
    semver: str
    protected: bool
    set_at: str
    set_by: str
    revision: int


class Aliases(Body):
    items: list[AliasAnswer]


class Resolved(Body):
    """The version behind an alias, the champion of an environment, or the latest version.

    `withdrawn`: why it must not be loaded, whatever the state of its bytes. `withdrawn_ancestors`: the
    withdrawn versions that it was made from, in words.
    """

    model_id: str
    model: str
    alias: str
    number: int
    semver: str
    stage: str
    artifact_digest: str
    artifact_state: str | None
    withdrawn: str | None
    withdrawn_ancestors: list[str]
    retired: bool
