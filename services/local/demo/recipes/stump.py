"""A decision tree with a single split: quick to train, and worse."""

from __future__ import annotations

from typing import Any

from sklearn.tree import DecisionTreeClassifier

CONFIG = {"estimator": "decision-tree", "max_depth": 1}


def build(seed: int) -> Any:
    """Return the untrained model."""
    return DecisionTreeClassifier(max_depth=CONFIG["max_depth"], random_state=seed)
