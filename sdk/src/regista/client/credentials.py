"""What a request is authenticated with: the API key of the profile, else the sign-in of a person."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from regista.client.profile import Profile

if TYPE_CHECKING:
    from regista.login.current import Login


class Credentials:
    """An API key wins over a sign-in: programs that have one go on working when a person signs in."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._login: Login | None = None

    async def add_to(self, request: httpx.Request) -> None:
        """Authenticate a request that is about to be sent. Raises RegistaError when a sign-in has ended."""
        if token := await self.token():
            request.headers["Authorization"] = f"Bearer {token}"

    async def token(self) -> str:
        """Return the API key, else the token of the sign-in, "" without either.

        Raises RegistaError when a sign-in has ended.
        """
        return self._profile.api_key or await self._of_sign_in()

    @property
    def of_a_person(self) -> bool:
        """Whether requests carry a person's sign-in."""
        return self._login is not None

    async def _of_sign_in(self) -> str:
        if self._login is None:
            self._login = await asyncio.to_thread(_login_of, self._profile)
        if self._login is None:
            return ""
        held = self._login.held()
        return await asyncio.to_thread(self._login.access_token) if held is None else held


def _login_of(profile: Profile) -> Login | None:
    """Return the sign-in that is kept for a profile, or None."""
    from regista.login.current import Login  # noqa: PLC0415 - only where a person has signed in

    login = Login(profile)
    return login if login.exists() else None
