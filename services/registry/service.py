"""The registry as a service of the kernel, and the process that runs it together with the identities."""

from __future__ import annotations

from services.registry.access import names
from services.registry.access.service import ACCESS_SERVICE
from services.registry.api import ROUTES
from services.registry.brief import IN_BRIEF
from services.registry.consumers import subscriptions
from services.registry.domain.deciders import DECIDERS, FOLDS
from services.registry.domain.model.events import PromotionRequested, VersionRecalled, VersionReinstated
from services.registry.first_environments import declare_first
from services.registry.measurements import MEASUREMENTS
from services.registry.parts import Parts, make_parts
from services.registry.projections import project
from services.registry.publish import publish
from services.registry.queries import KNOWN_NAMES
from services.registry.settings import RegistrySettings
from services.registry.stored_events import EVENTS
from services.registry.tables import TABLES
from shared.deciding.service import Service
from shared.http.app import App
from shared.http.problems import Problem
from shared.run import Process

SERVICE = Service(
    name="registry",
    folds=FOLDS,
    deciders=DECIDERS,
    events=EVENTS,
    project=project,
    publish=publish,
    tables=TABLES,
    in_brief=IN_BRIEF,
    urgent=frozenset({PromotionRequested, VersionRecalled, VersionReinstated}),
)


async def _start(app: App) -> Parts:
    await names.finish_erasures(app.pool)
    await declare_first(app)
    return make_parts(app.pool, app.access, RegistrySettings.extending(app.settings).bump_policy)


async def keys_of_jobs(app: App) -> None:
    """Keep the public keys of the issuers of jobs fresh."""
    await app.parts_as(Parts).job_tokens.keys.run()


def front_for_mlflow(app: App) -> Problem:
    """Return the answer to MLflow's client, in the form that it reads: it has the address of the registry."""
    front = app.settings.public_urls.get("mlflow", "")
    how = f"mlflow.set_registry_uri({front!r})" if front else "ask its operators for that address"
    detail = (
        "This is the address of Regista's registry. MLflow's clients use that of the service mlflow: "
        f"{how}. With Regista's plug-in the URI of the registry begins with regista:// instead."
    )
    return Problem(404, "service_mlflow", detail, error_code="ENDPOINT_NOT_FOUND", message=detail)


def process(app: App) -> Process:
    """Return what `python -m services.registry` runs."""
    return Process(
        SERVICE,
        routes=ROUTES,
        subscriptions=subscriptions(app),
        extra_services=(ACCESS_SERVICE,),
        start=_start,
        background=(keys_of_jobs,),
        measurements=MEASUREMENTS,
        known_names=KNOWN_NAMES,
        elsewhere={"/api/2.0/mlflow": front_for_mlflow},
    )
