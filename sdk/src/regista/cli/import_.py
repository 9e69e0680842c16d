"""`regista import …`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.import_options import import_options
from regista.cli.import_reports import show_outcome, show_plan, size_of
from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.client.async_client import AsyncClient
    from regista.importing.adopting import Adoption, Choice
    from regista.importing.copying import Outcome
    from regista.importing.mlflow_drafts import DraftPlanner
    from regista.importing.plan import Choices, PlannedModel, Planner
    from regista.importing.source import Source

MLFLOW_EXAMPLES = """
regista import mlflow --from https://mlflow.example.com --to crm --dry-run
regista import mlflow --from https://mlflow.example.com --to crm
regista import mlflow --from http://127.0.0.1:5000 --models 'fraud*' --json
regista import mlflow --from https://mlflow.example.com --rename 'Churn (new)=crm.churn'
regista import mlflow --from https://mlflow.example.com --creator alice=person:alice
regista import mlflow --from https://mlflow.example.com --to crm --adopt-serving --reason "we move today"
regista import mlflow --from https://mlflow.example.com --to crm --drafts
"""
AZUREML_EXAMPLES = """
regista import azureml --workspace fraud-ws --subscription 1111… --resource-group ml --to crm --dry-run
regista import azureml --workspace /subscriptions/…/workspaces/fraud-ws --to crm
regista import azureml --workspace fraud-ws --models 'fraud*' --json
"""
SAGEMAKER_EXAMPLES = """
regista import sagemaker --region eu-central-1 --to crm --dry-run
regista import sagemaker --region eu-central-1 --to crm --models 'fraud*'
regista import sagemaker --region eu-central-1 --to crm --artifacts-below s3://models-of-crm/fraud
"""


@click.group()
def import_() -> None:
    """Import models from another registry. What it states stays a claim: no gate here is skipped."""


@command(group=import_, examples=MLFLOW_EXAMPLES)
@click.option("--from", "uri", required=True, metavar="URI", help="The address of the MLflow server.")
@import_options
@click.option(
    "--artifacts-below",
    "root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder on this machine in which artifacts with local paths may be read.",
)
@click.option(
    "--serving-alias",
    default="",
    metavar="ALIAS",
    help="With --adopt-serving: what serves there has this alias. Otherwise it is in the stage Production.",
)
@click.option(
    "--drafts",
    is_flag=True,
    help="Instead of its models: complete the drafts here that you registered with MLflow's client, from "
    "their runs and files on that server.",
)
def mlflow(
    session: Session,
    uri: str,
    choices: Choices,
    adopts: Choice | None,
    root: Path | None,
    serving_alias: str,
    *,
    drafts: bool,
    dry_run: bool,
) -> None:
    """Import models and versions of an MLflow server: bytes, metadata, tags, aliases, descriptions.

    A version that is here already is left as it is, so the command may be repeated; a draft gets what MLflow
    has of it by then. Credentials for MLflow are read from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME
    and MLFLOW_TRACKING_PASSWORD.
    """
    from regista.importing.mlflow import read_address  # noqa: PLC0415 - imported when a command runs
    from regista.importing.mlflow_drafts import DraftPlanner  # noqa: PLC0415
    from regista.importing.mlflow_source import MlflowSource  # noqa: PLC0415

    if drafts and adopts:
        raise click.UsageError("--drafts completes drafts, and --adopt-serving takes versions that serve")
    source = MlflowSource(read_address(uri), root=root, serving_alias=serving_alias)
    planner = partial(DraftPlanner, source=source, choices=choices) if drafts else None
    _carry_out(session, source, choices, adopts, dry_run=dry_run, planner=planner)


@command(group=import_, examples=AZUREML_EXAMPLES)
@click.option("--workspace", required=True, metavar="NAME", help="The workspace: its name or resource id.")
@click.option("--subscription", default="", metavar="ID", help="Otherwise AZURE_SUBSCRIPTION_ID.")
@click.option("--resource-group", "group", default="", metavar="NAME", help="Otherwise AZURE_RESOURCE_GROUP.")
@import_options
@click.option(
    "--arm", default="", metavar="URL", help="Azure Resource Manager of another cloud than the public one."
)
@click.option(
    "--blobs",
    default="",
    metavar="URL",
    help="Where the storage accounts are, if not in Azure: https://{account}.blob.example.com.",
)
def azureml(
    session: Session,
    workspace: str,
    subscription: str,
    group: str,
    choices: Choices,
    adopts: Choice | None,
    arm: str,
    blobs: str,
    *,
    dry_run: bool,
) -> None:
    """Import models and versions of a workspace of Azure ML: bytes, metadata, tags, descriptions.

    A version that is here already is left as it is, so the command may be repeated. You are who Azure's own
    tools take you for: `az login`, AZURE_CLIENT_ID with AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or a managed
    identity.
    """
    from regista.importing.azure_ml import read_workspace  # noqa: PLC0415 - imported when a command runs
    from regista.importing.azure_ml_source import AzureMlSource  # noqa: PLC0415

    found = read_workspace(workspace, subscription, group, arm=arm, blobs=blobs)
    _carry_out(session, AzureMlSource(found), choices, adopts, dry_run=dry_run)


@command(group=import_, examples=SAGEMAKER_EXAMPLES)
@click.option(
    "--region", default="", metavar="REGION", help="The region; without it, that of AWS's settings."
)
@click.option(
    "--endpoint-url", "endpoint", default="", metavar="URL", help="Another address of SageMaker and of S3."
)
@import_options
@click.option(
    "--artifacts-below",
    "below",
    multiple=True,
    metavar="S3-URI",
    help="A bucket or a folder in one that may be read, beside SageMaker's own bucket. May be repeated.",
)
def sagemaker(
    session: Session,
    region: str,
    endpoint: str,
    choices: Choices,
    adopts: Choice | None,
    below: tuple[str, ...],
    *,
    dry_run: bool,
) -> None:
    """Import model package groups and their versions from SageMaker: bytes, metadata, metrics, tags.

    A version that is here already is left as it is, so the command may be repeated. The credentials are
    those of AWS's own tools: AWS_PROFILE, AWS_ACCESS_KEY_ID and so on, or the role of the machine.
    """
    from regista.importing.sagemaker_source import SagemakerSource  # noqa: PLC0415

    source = SagemakerSource(region, endpoint=endpoint, below=below)
    _carry_out(session, source, choices, adopts, dry_run=dry_run)


def _carry_out(
    session: Session,
    source: Source,
    choices: Choices,
    adopts: Choice | None,
    *,
    dry_run: bool,
    planner: Callable[[AsyncClient], DraftPlanner] | None = None,
) -> None:
    """Show the plan, or carry it out and show what became of it. The source is closed."""
    from regista.importing.plan import Planner  # noqa: PLC0415 - imported when a command runs

    with _closed(source), session.client(lasting=True) as client:
        made = planner or partial(Planner, source=source, choices=choices)
        planned = _planned(session, made(client.asynchronous))
        if dry_run:
            show_plan(session, planned, _would_adopt(client.asynchronous, planned, adopts))
            return
        say(size_of(planned), err=True)
        outcome = _copied(session, client.asynchronous, source, planned)
        if adopts and outcome.stopped is None:
            _adopt(session, client.asynchronous, planned, adopts, outcome)
    show_outcome(session, outcome)
    if outcome.stopped is not None:
        raise outcome.stopped
    click.get_current_context().exit(outcome.exit_code)


@contextmanager
def _closed(source: Source) -> Iterator[None]:
    """Close the source at the end."""
    from regista.client.loop_thread import LOOP  # noqa: PLC0415 - imported when a command runs

    try:
        yield
    finally:
        LOOP.run(source.aclose())


def _planned(session: Session, planner: Planner | DraftPlanner) -> list[PlannedModel]:
    from regista.client.loop_thread import LOOP  # noqa: PLC0415

    with session.progress("reading", bytes_=False) as progress:
        return LOOP.run(planner.plan(progress))


def _copied(session: Session, client: Any, source: Source, planned: Sequence[PlannedModel]) -> Outcome:
    from regista.client.loop_thread import LOOP  # noqa: PLC0415
    from regista.importing.copying import Copier  # noqa: PLC0415

    with session.progress("importing") as progress:
        return LOOP.run(Copier(client, source).copy(planned, progress))


def _would_adopt(
    client: Any, planned: Sequence[PlannedModel], choice: Choice | None
) -> dict[str, Adoption] | None:
    """Return what would be adopted, None where nothing is to be."""
    from regista.client.loop_thread import LOOP  # noqa: PLC0415
    from regista.importing.adopting import Adopter  # noqa: PLC0415

    return LOOP.run(Adopter(client, choice).plan(planned)) if choice else None


def _adopt(
    session: Session, client: Any, planned: Sequence[PlannedModel], choice: Choice, outcome: Outcome
) -> None:
    """Adopt what serves there, and add to the outcome what became of it."""
    from regista.client.loop_thread import LOOP  # noqa: PLC0415
    from regista.errors import RegistaError  # noqa: PLC0415
    from regista.importing.adopting import Adopter  # noqa: PLC0415

    adopter = Adopter(client, choice)
    with session.progress("adopting", bytes_=False) as progress:
        try:
            LOOP.run(adopter.adopt(planned, progress))
        except RegistaError as e:
            outcome.stopped = e
    for model in outcome.models:
        model.adoption = adopter.found.get(model.there)
