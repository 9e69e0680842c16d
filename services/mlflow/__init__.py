"""MLflow's registry REST API in front of the other services."""
