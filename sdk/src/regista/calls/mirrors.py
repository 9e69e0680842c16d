"""Mirrors: other registries that show what Regista decides. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from regista.calls.requests import Requests, given
from regista.shapes.mirror import CheckAccepted, MirroredVersion, TargetAnswer, TargetRemoved


class MirrorCalls(Requests):
    """Set targets of mirrors, read how far each is in step, check and repair it."""

    async def mirrors(self) -> list[TargetAnswer]:
        """Return the targets with the number of versions by standing."""
        return await self._items(TargetAnswer, "mirror", "/mirrors")

    async def mirror(self, target: str) -> TargetAnswer:
        """Return one target."""
        return await self._get(TargetAnswer, "mirror", _path(target))

    async def mirrored_versions(
        self, target: str, limit: int | None = None, *, status: str | None = None
    ) -> list[MirroredVersion]:
        """Return the versions at a target by model id and number, at most `limit`.

        `status`: only due, mirrored, drifted, waiting, absent or failed ones.
        """
        path = f"{_path(target)}/versions"
        return await self._all(MirroredVersion, "mirror", path, limit, **given(status=status))

    async def set_mirror(
        self, target: str, kind: str, *, namespaces: Sequence[str] = ("*",), from_stage: str = "Validated"
    ) -> TargetAnswer:
        """Mirror the versions of these namespaces ("*": all) from a stage on. An admin of them may.

        `kind`: mlflow, sagemaker or azureml. The address and the credentials are in the target's settings
        file at the service.
        """
        body = {"kind": kind, "namespaces": list(namespaces), "from_stage": from_stage}
        return await self._send(TargetAnswer, "PUT", "mirror", _path(target), body)

    async def remove_mirror(self, target: str) -> TargetRemoved:
        """Stop mirroring to a target. What it has stays there."""
        return await self._send(TargetRemoved, "DELETE", "mirror", _path(target), None)

    async def check_mirror(self, target: str, *, repair: bool = False) -> CheckAccepted:
        """Begin a comparison of a target with the registry; `mirror(target)["check"]` has its progress.

        `repair`: what differs is written again, and what failed is tried again.
        """
        return await self._send(CheckAccepted, "POST", "mirror", f"{_path(target)}:check", {"repair": repair})


def _path(target: str) -> str:
    return f"/mirrors/{quote(target, safe='')}"
