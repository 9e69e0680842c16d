"""What clients of MLflow see of models and versions: rows and queries."""
