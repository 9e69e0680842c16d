"""The contract of reports of use: `regista.ModelUsed.v1` on Kafka, and the same body over HTTP."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from regista.wire.names import may_exist
from services.cleanup.domain.retention_commands import RecordUsage

MODEL_USED = "regista.ModelUsed.v1"
USAGE_TOPIC = "regista.usage.v1"


def _name(text: str) -> str:
    if not may_exist(text):
        raise ValueError("use the name of a model: letters, digits, '_' and '-', in dotted parts")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]


class ModelUsed(BaseModel):
    """How often one version was used between two moments.

    Counts are increments: send each once, under one message id.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name = Field(description="the model's name")
    model_id: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f-]{36}$")] | None = Field(
        None,
        description="the model's id, if the reporter has it: a renamed model is found by it",
    )
    number: int = Field(ge=1, le=2**31 - 1, description="the version's number")
    count: int = Field(ge=1, le=10**12, description="uses within the window")
    window_start: AwareDatetime
    window_end: AwareDatetime
    environment: str = Field(
        "production",
        min_length=1,
        max_length=100,
        description="where it was used: a declared environment, without its namespace",
    )
    endpoint: str = Field("", max_length=500, description="where it was used, if that matters")

    def to_domain(self, model_id: str) -> RecordUsage:
        """Return the command of the report, for the model that it names."""
        return RecordUsage(
            model_id=model_id,
            number=self.number,
            count=self.count,
            window_start=self.window_start,
            window_end=self.window_end,
            environment=self.environment,
            endpoint=self.endpoint,
        )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.window_end < self.window_start:
            msg = "window_end lies before window_start"
            raise ValueError(msg)
        try:
            self.window_start.astimezone(UTC), self.window_end.astimezone(UTC)
        except OverflowError:
            msg = "the window has to lie within the years 1 to 9999 in UTC"
            raise ValueError(msg) from None
        return self
