"""The same logistic regression with a hundredth of the penalty."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CONFIG = {"estimator": "logistic-regression", "C": 1.0, "max_iter": 500}


def build(seed: int) -> Any:
    """Return the untrained model."""
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=CONFIG["C"], max_iter=CONFIG["max_iter"], random_state=seed)
    )
