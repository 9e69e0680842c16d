"""Complete a draft that was registered before its files or its run were there, or by the address alone."""

from __future__ import annotations

import mlflow
from mlflow.entities.model_registry import ModelVersion

from regista.mlflow_plugin.store import RegistaStore


def complete(name: str, version: int | str) -> ModelVersion:
    """Add to a draft of yours the files of its source, and what its run states, as far as it lacks them.

    The registry URI of `mlflow` names the registry. Source and run are read as MLflow's client reads them,
    with your credentials. Raises RegistaError and MlflowException for what cannot be read or is refused.
    """
    store = RegistaStore(mlflow.get_registry_uri(), mlflow.get_tracking_uri())
    return store.complete_model_version(name, str(version))
