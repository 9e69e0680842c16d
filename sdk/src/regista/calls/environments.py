"""Environments, and what serves where. Answers are the service's JSON."""

from __future__ import annotations

from urllib.parse import quote

from regista.calls.requests import Requests, given, summary
from regista.choices import MlflowMode
from regista.shapes.registry import EnvironmentAnswer, ModeAnswer, RolloutAnswer


class EnvironmentCalls(Requests):
    """Declare environments, and read what serves in all of them.

    `name` is `[namespace.]name`; a model's commands name an environment without its namespace.
    """

    async def environments(
        self, limit: int | None = None, *, namespace: str | None = None, retired: bool = False
    ) -> list[EnvironmentAnswer]:
        """Return the environments, by namespace and order, at most `limit`.

        `namespace`: only what models of it may use. `retired`: retired ones, too.
        """
        return await self._all(
            EnvironmentAnswer,
            "registry",
            "/environments",
            limit,
            **given(namespace=namespace),
            retired=retired,
        )

    async def environment(self, name: str) -> EnvironmentAnswer:
        """Return one environment with its `revision`."""
        return await self._get(EnvironmentAnswer, "registry", _path(name))

    async def create_environment(
        self, name: str, *, production: bool, order: int = 50, description: str = ""
    ) -> EnvironmentAnswer:
        """Declare an environment. Whether it is `production` never changes. An admin of its namespace may."""
        body = {"name": name, "production": production, "order": order, "description": description}
        return await self._send(EnvironmentAnswer, "POST", "registry", "/environments", body)

    async def edit_environment(
        self,
        name: str,
        *,
        order: int | None = None,
        description: str | None = None,
        expected: int | None = None,
    ) -> EnvironmentAnswer:
        """Change an environment's order in lists or its description; None leaves a field as it is.

        `expected` is the `revision` that you read: the call raises Stale if the environment changed since.
        """
        body = given(order=order, description=description)
        shown = summary("order", "description", "retired")
        what = f"the environment {name}"
        return await self._change(
            EnvironmentAnswer, "PATCH", "registry", _path(name), body, expected, what=what, shown=shown
        )

    async def retire_environment(self, name: str, reason: str) -> EnvironmentAnswer:
        """Retire an environment. The service refuses that while a model uses it."""
        return await self._send(
            EnvironmentAnswer, "POST", "registry", f"{_path(name)}:retire", {"reason": reason}
        )

    async def mlflow_mode(self, namespace: str) -> ModeAnswer:
        """Return the mode that holds for MLflow's clients in a namespace (`*`: where none was chosen)."""
        return await self._get(ModeAnswer, "registry", f"/mlflow/modes/{quote(namespace)}")

    async def set_mlflow_mode(self, namespace: str, mode: MlflowMode, reason: str) -> ModeAnswer:
        """Choose the mode of a namespace and of those below it. Its admin may.

        `governed`: stages and aliases of MLflow's clients are Regista's. `labels`: they are free and decide
        nothing.
        """
        body = {"mode": mode, "reason": reason}
        return await self._send(ModeAnswer, "PUT", "registry", f"/mlflow/modes/{quote(namespace)}", body)

    async def serving(
        self,
        limit: int | None = None,
        *,
        environment: str | None = None,
        production: bool | None = None,
        model: str | None = None,
        namespace: str | None = None,
        stopped: bool = False,
    ) -> list[RolloutAnswer]:
        """Return the rollouts of all models and environments that the caller may read, at most `limit`.

        `production`: only environments that are production, or only others. `stopped`: stopped rollouts, too.
        """
        filters = given(environment=environment, production=production, model=model, namespace=namespace)
        return await self._all(RolloutAnswer, "registry", "/serving", limit, **filters, stopped=stopped)


def _path(name: str) -> str:
    return f"/environments/{quote(name)}"
