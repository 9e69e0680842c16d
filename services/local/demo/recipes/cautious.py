"""A heavily regularised logistic regression."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CONFIG = {"estimator": "logistic-regression", "C": 0.01}


def build(seed: int) -> Any:
    """Return the untrained model."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=CONFIG["C"], random_state=seed))
