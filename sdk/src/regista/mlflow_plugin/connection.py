"""A registry as the plug-in uses it: its front for MLflow, the caller's key, and the client of the SDK."""

from __future__ import annotations

import functools
from dataclasses import replace

from regista.client.credentials import Credentials
from regista.client.loop_thread import LOOP
from regista.client.profile import Profile, read_profile
from regista.client.sync_client import Client
from regista.client.transport import Transport
from regista.errors import NotConfigured
from regista.mlflow_plugin.address import origin, registry_url, same_service


class Connection:
    """What requests to one registry need. `transport` is for the event loop of `LOOP`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.client = Client(profile)
        self.transport = Transport(profile)
        self._credentials = Credentials(profile)
        self._signed_in = ""

    def front(self) -> str:
        """Return the URL of the front for MLflow, which the registry names. Raises RegistaError."""
        return LOOP.run(self.transport.url_of("mlflow"))

    def token(self) -> str:
        """Return the API key, else a valid token of the sign-in, "" without either. Raises RegistaError."""
        token = LOOP.run(self._credentials.token())
        if token not in {"", self.profile.api_key, self._signed_in}:
            self.client.whoami()  # lets the registry record a person that it has not seen yet
            self._signed_in = token
        return token

    def is_front(self, url: str) -> bool:
        """Return whether a request to the URL goes to the front for MLflow."""
        return origin(url) == origin(self.front())


def connection(registry_uri: str) -> Connection:
    """Return the connection to the registry of a registry URI. Raises RegistaError."""
    return _connection(_profile(registry_url(registry_uri)))


def own_connection() -> Connection:
    """Return the connection to the registry of the profile. Raises RegistaError."""
    return _connection(_profile(""))


@functools.lru_cache(maxsize=10)
def _connection(profile: Profile) -> Connection:
    return Connection(profile)


def _profile(url: str) -> Profile:
    """Return the profile of the environment, for the registry at `url`.

    Its key belongs to its own registry: NotConfigured is raised when `url` is another one.
    """
    profile = read_profile()
    if not url:
        profile.need("url")
        return profile
    if profile.url and not same_service(profile.url, url):
        raise NotConfigured(
            "two_registries",
            f"the registry URI names {url}, and your profile's key is for {profile.url}",
            advice="Name the same one in mlflow.set_registry_uri and in REGISTA_URL (or the profile).",
        )
    return profile if profile.url else replace(profile, url=url)
