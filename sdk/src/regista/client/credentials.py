"""What a request is authenticated with: the API key of the profile, a job's, or the sign-in of a person."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from regista.client.profile import Profile
from regista.job.sources import source_of

if TYPE_CHECKING:
    from regista.job.exchange import Job
    from regista.login.current import Login


class Credentials:
    """An API key wins over the token of a job, and this over a sign-in.

    So programs that have a key go on working in a job, and when a person signs in.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._login: Login | None = None
        self._source = source_of(profile)
        self._job: Job | None = None

    async def add_to(self, request: httpx.Request) -> None:
        """Authenticate a request that is about to be sent. Raises RegistaError when a sign-in has ended."""
        if token := await self.token():
            request.headers["Authorization"] = f"Bearer {token}"

    async def token(self) -> str:
        """Return the API key, else the key of a job or the token of the sign-in, "" without either.

        Raises RegistaError when a sign-in has ended.
        """
        return self._profile.api_key or await self._of_job_or_sign_in()

    @property
    def of_a_person(self) -> bool:
        """Whether requests carry a person's sign-in."""
        return self._login is not None

    @property
    def of_a_job(self) -> bool:
        """Whether requests carry the key of a job."""
        return self._source is not None

    async def job(self) -> Job:
        """Return what this job authenticates with. Call it where `of_a_job` is true."""
        if self._job is None:
            from regista.job.exchange import Job  # noqa: PLC0415 - only in a job

            if self._source is None:
                msg = "this process runs in no job"
                raise RuntimeError(msg)
            self._job = Job(self._profile, self._source)
        if self._job.held() is None:
            await asyncio.to_thread(self._job.key)
        return self._job

    async def _of_job_or_sign_in(self) -> str:
        if self._source is not None:
            job = await self.job()
            key = job.held()
            if key is None:
                key = await asyncio.to_thread(job.key)
            return key.api_key
        if self._login is None:
            self._login = await asyncio.to_thread(_login_of, self._profile)
        if self._login is None:
            return ""
        kept = self._login.held()
        return await asyncio.to_thread(self._login.access_token) if kept is None else kept


def _login_of(profile: Profile) -> Login | None:
    """Return the sign-in that is kept for a profile, or None."""
    from regista.login.current import Login  # noqa: PLC0415 - only where a person has signed in

    login = Login(profile)
    return login if login.exists() else None
