"""The words that arguments take. A test compares them with the schemas of the services."""

from __future__ import annotations

from typing import Literal

Kind = Literal["model", "adapter", "embedding", "preprocessing", "prompt"]
"""What a model is."""
Tier = Literal["low", "medium", "high"]
"""The risk tier of a model."""
Stage = Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]
"""The stage of a version."""
Via = Literal["", "kafka", "http"]
"""How ModelTrained is sent; empty: over Kafka where it is configured, else over HTTP."""
IdentityKind = Literal["person", "publisher", "service", "group"]
"""What an identity is."""
MlflowMode = Literal["governed", "labels"]
"""What MLflow's clients may do in a namespace."""
