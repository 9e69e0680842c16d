"""`python -m services.mlflow` runs the service."""

from __future__ import annotations

from services.mlflow.process import main

if __name__ == "__main__":
    main()
