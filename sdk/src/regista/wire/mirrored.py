"""What a mirror writes on each version of another registry, and an import skips. Pure.

The value is the version's model id and number here. So no import brings back what a mirror shows there.
"""

from __future__ import annotations

AZURE_ML = "regista.id"
"""A property, which no one can change there."""
MLFLOW = "regista.id"
"""A tag."""
SAGEMAKER = "regista.version"
"""A property of the customer metadata."""
SKIPPED = "a mirror of a Regista made it"
