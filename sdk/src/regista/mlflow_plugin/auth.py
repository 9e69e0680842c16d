"""Authenticate the requests of MLflow's client to Regista, and no others: `MLFLOW_TRACKING_AUTH=regista`."""

from __future__ import annotations

from typing import Any

from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider


class RegistaAuth:
    """Adds the API key, or the token of the sign-in, to requests to the front of the profile's registry."""

    def __call__(self, request: Any) -> Any:
        """Authenticate a prepared request of the library `requests`. Raises RegistaError."""
        from regista.mlflow_plugin.connection import own_connection  # noqa: PLC0415 - `import mlflow` is short

        connection = own_connection()
        if connection.is_front(str(request.url)) and (token := connection.token()):
            request.headers["Authorization"] = f"Bearer {token}"
        return request


class RegistaAuthProvider(RequestAuthProvider):
    """The provider that MLflow finds by the name `regista`."""

    def get_name(self) -> str:
        """Return the value of MLFLOW_TRACKING_AUTH that selects this provider."""
        return "regista"

    def get_auth(self) -> RegistaAuth:
        """Return what authenticates a request."""
        return RegistaAuth()
