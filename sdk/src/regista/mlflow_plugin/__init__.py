"""A plug-in of MLflow's client: `mlflow.set_registry_uri("regista://registry.example.com")`.

MLflow loads it by its entry points, from the extra `mlflow`. Nothing else of the client imports MLflow.
"""
