"""Shapes of what clients of MLflow see and search."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from services.registry.domain.labels.labels import LabelStage
from services.registry.domain.labels.modes import Mode
from services.registry.domain.model.state import Stage
from services.registry.inbound import External, Shape
from services.registry.shapes.common import LARGEST, OptionalReason, RequiredReason
from shared.http.routes import Body

MOST = 10_000
"""The most items of a page."""
SearchField = Literal[
    "name", "version_number", "run_id", "source_path", "creation_timestamp", "last_updated_timestamp"
]
OF_MODELS = {"name", "creation_timestamp", "last_updated_timestamp"}
Sign = Literal["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN"]
Value = Annotated[str, Field(max_length=2_000)]


class ModeChange(RequiredReason):
    """`labels`: MLflow's clients set stages and aliases of their own, which decide nothing."""

    mode: Mode


class ModeAnswer(Shape):
    """The mode that holds in a namespace: its own, or that of the nearest one above it."""

    namespace: str
    mode: Mode


class LabelChange(OptionalReason):
    """What is given changes. `archive_existing`: other versions with that stage become Archived.

    `hidden`: MLflow's clients do not see the version any more.
    """

    stage: LabelStage | None = None
    archive_existing: bool = False
    hidden: Literal[True] | None = None


class LabelAlias(Body):
    number: Annotated[int, Field(ge=1, le=LARGEST)]


class ModelVisibility(OptionalReason):
    """Whether MLflow's clients see the model."""

    hidden: bool


class Condition(Body):
    """A condition on a field, or on the value of the tag of that name."""

    field: SearchField = "name"
    tag: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    comparison: Sign
    values: Annotated[list[Value], Field(min_length=1, max_length=1_000)]

    @model_validator(mode="after")
    def _fits(self) -> Condition:
        number = self.field == "version_number" and self.tag is None
        listed = self.comparison in {"IN", "NOT IN"}
        if self.tag is None and self.field.endswith("_timestamp"):
            raise ValueError("times are only for the order")
        if number and (listed or "LIKE" in self.comparison or not self.values[0].isascii()):
            raise ValueError("a number is compared with one of = != < <= > >=")
        if number and not (self.values[0].isdecimal() and len(self.values[0]) < 19):
            raise ValueError("version_number is compared with a whole number")
        if not number and self.comparison in {"<", "<=", ">", ">="}:
            raise ValueError("texts are compared with one of = != LIKE ILIKE IN and NOT IN")
        return self


class Order(Body):
    field: SearchField
    descending: bool = False


class Search(Body):
    """All conditions must hold. `namespace`: this one and those below it.

    `prompts`: only models with the tag `mlflow.prompt.is_prompt`, which are left out otherwise.
    """

    conditions: Annotated[list[Condition], Field(max_length=20)] = Field(default_factory=list)
    order: Annotated[list[Order], Field(max_length=6)] = Field(default_factory=list)
    namespace: Annotated[str, Field(max_length=200)] = ""
    prompts: bool = False
    offset: int = Field(default=0, ge=0, le=10**9)
    limit: int = Field(default=100, ge=1, le=MOST)


class MlflowVersion(Shape):
    """A version as MLflow's clients see it.

    `label`: their stage. Where the namespace is governed it follows from Regista's: `Production` serves in
    production. `environments`: where it is the champion. `hidden`: it or its model is deleted for them,
    or it is retired.
    """

    model_id: str
    model: str
    namespace: str
    mode: Mode
    number: int
    semver: str | None
    stage: Stage
    label: LabelStage
    description: str | None
    tags: dict[str, str] | None
    creator: str | None
    registered_at: str
    registered_by: str
    changed_at: str
    artifact_digest: str | None
    artifact_state: str | None
    artifact_detail: str | None
    missing: list[str] | None
    reasons: list[str] | None
    external: External | None
    withdrawn: str | None
    gates_passed: bool | None
    hidden: bool
    aliases: list[str]
    environments: list[str]
    label_aliases: list[str]
    open_promotions: list[str]


class MlflowModel(Shape):
    """A model as MLflow's clients see it, with the newest version of each of their stages.

    `aliases`, `environments` (their champions) and `label_aliases` have version numbers by name.
    """

    model_id: str
    model: str
    namespace: str
    mode: Mode
    description: str
    tags: dict[str, str]
    owner: str
    tier: str
    registered_at: str
    registered_by: str
    changed_at: str
    hidden: bool
    aliases: dict[str, int]
    environments: dict[str, int]
    label_aliases: dict[str, int]
    newest: list[MlflowVersion]


class MlflowModels(Shape):
    """A page of models. `more`: there are further ones."""

    items: list[MlflowModel]
    more: bool


class MlflowVersions(Shape):
    """A page of versions. `more`: there are further ones."""

    items: list[MlflowVersion]
    more: bool
