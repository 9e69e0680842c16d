"""Shapes of lineage: what versions were made from, what was made from them, and on which data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.registry.domain.model.metadata import Relation
from services.registry.domain.model.state import Stage
from services.registry.inbound import Shape
from services.registry.shapes.versions import VersionRolloutAnswer
from shared.http.routes import Body, PageQuery


class TrainedOnQuery(PageQuery):
    """`trained_on`: the name or the digest of a data set."""

    trained_on: str = Field(min_length=1, max_length=500)


class LineageQuery(Body):
    """`parent`: the URL of a parent that is not in this registry, as the versions named it."""

    parent: str = Field(min_length=1, max_length=500)


class ServedAnswer(Shape):
    """An environment where a version got requests, since and until when. `until` is null while it does."""

    environment: str
    since: str
    until: str | None


class RelatedVersion(Shape):
    """A version in a lineage, with where it serves (`rollouts`) and served.

    `generation` counts the steps to it, `relation` is that of the last step. A parent that is not in this
    registry has a URL as `model`, number 0 and a `digest`, and nothing else.
    """

    model_id: str
    model: str
    number: int
    semver: str | None
    stage: Stage | None
    relation: Relation | None
    digest: str
    generation: int
    dataset_name: str | None
    dataset_digest: str | None
    registered_at: str | None
    withdrawn: str | None
    retired: bool
    rollouts: list[VersionRolloutAnswer]
    served: list[ServedAnswer]


class TrainedVersion(RelatedVersion):
    """A version that a data set went into. `use`: it was trained or evaluated on it, or a parent was trained.

    `generation` is 0 for a version that used the data itself.
    """

    use: Literal["training", "evaluation", "parent"]


class TrainedVersions(Shape):
    """A page of versions that used a data set, and after them all that was made from those trained on it.

    A version may be on several pages. `truncated`: more was made from them than is shown.
    """

    items: list[TrainedVersion]
    truncated: bool
    next_page_token: str


class LineageAnswer(Shape):
    """What a version was made from and what was made from it, the nearest first.

    `hidden` counts versions that the caller may not see; `truncated`: there are more than are shown. As of a
    moment, `too_long` names the models with too many events to state what their versions were.
    """

    model_id: str
    model: str
    number: int
    ancestors: list[RelatedVersion]
    descendants: list[RelatedVersion]
    hidden: int
    truncated: bool
    too_long: list[str]
