"""The model package groups of an account and region of SageMaker as the source of an import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from regista.errors import Forbidden, Invalid, NotFound
from regista.importing.aws import Aws
from regista.importing.files import NO_BYTES, Files, SourceFile, Unreachable, listed, small_file, why
from regista.importing.requests import Waits
from regista.importing.s3_files import Location, S3Files, read_location, roots_of
from regista.importing.sagemaker_claims import Facts, containers_of, stated_of
from regista.importing.serving import newest_in_production
from regista.importing.source import LATER, Serving, SourceModel, SourceVersion, Stated
from regista.importing.texts import bare
from regista.wire import mirrored

READY = "Completed"
APPROVED, REJECTED = "Approved", "Rejected"
MOST_OF_A_DOCUMENT = 4 << 20


class SagemakerSource:
    """SageMaker in one region. `below`: the locations in S3 from which artifacts may be read.

    The bucket that SageMaker makes for an account and a region is always one of them. The server names the
    locations of artifacts, so no other bucket is read with the caller's credentials.
    """

    system = "sagemaker"
    adds_later = LATER - {"training.dataset.digest"}

    def __init__(
        self, region: str, *, endpoint: str = "", below: Sequence[str] = (), waits: Waits | None = None
    ) -> None:
        self._roots = roots_of(below)
        self._aws = Aws(region, endpoint, waits)
        self.waits = self._aws.waits
        self.uri = ""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._aws.close()

    async def models(self) -> AsyncIterator[SourceModel]:
        """Yield the model package groups of the account."""
        client = self._aws.sagemaker
        async for page in self._aws.pages(client, "list_model_package_groups", MaxResults=100):
            for group in page.get("ModelPackageGroupSummaryList") or ():
                arn = str(group["ModelPackageGroupArn"])
                self._adopt(arn)
                yield SourceModel(
                    str(group["ModelPackageGroupName"]),
                    str(group.get("ModelPackageGroupDescription") or ""),
                    raw={"arn": arn},
                )

    async def describe(self, model: SourceModel) -> SourceModel:
        """Return a group with its tags, which its list lacks."""
        arn = str(model.raw["arn"])
        tags: dict[str, str] = {}
        try:
            async for page in self._aws.pages(self._aws.sagemaker, "list_tags", ResourceArn=arn):
                tags |= {str(tag["Key"]): str(tag["Value"]) for tag in page.get("Tags") or ()}
        except Forbidden:
            pass  # its tags are the least of what is imported
        return SourceModel(model.name, model.description, tags, raw=model.raw)

    async def versions(self, model: SourceModel) -> list[SourceVersion]:
        """Return the packages of a group, by number."""
        query = {"ModelPackageGroupName": model.name, "MaxResults": 100}
        found = [
            package
            async for page in self._aws.pages(self._aws.sagemaker, "list_model_packages", **query)
            for package in page.get("ModelPackageSummaryList") or ()
            if package.get("ModelPackageVersion")
        ]
        found.sort(key=lambda package: int(package["ModelPackageVersion"]))
        return [_version(package) for package in found]

    def serving(self, model: SourceModel, versions: Sequence[SourceVersion]) -> Serving | None:  # noqa: ARG002 - as Source has it
        """Return the newest approved package in the life cycle's stage Production.

        In a group without a life cycle it is the newest approved package. Endpoints are not read.
        """
        if any(_stage(one) for one in versions):
            return newest_in_production([one for one in versions if _is_approved(one)], _stage)
        approved = [one for one in versions if one.raw.get("ModelApprovalStatus") == APPROVED]
        return Serving(approved[-1].number, APPROVED) if approved else None

    async def read(self, model: SourceModel, version: SourceVersion) -> Stated:  # noqa: ARG002 - as Source has it
        """Return what SageMaker and S3 state about a package, and its files."""
        arn = str(version.raw["ModelPackageArn"])
        client = self._aws.sagemaker
        package = await self._aws.call(arn, partial(client.describe_model_package, ModelPackageName=arn))
        if mirrored.SAGEMAKER in (package.get("CustomerMetadataProperties") or {}):
            return Stated(skipped=mirrored.SKIPPED)
        notes: list[str] = []
        reader: Files | None = None
        files: list[SourceFile] = []
        problem = ""
        try:
            locations = locations_of(package)
            reader = S3Files(self._aws, locations, self._roots)
            files = await listed(reader)
        except NO_BYTES as e:
            reader, files = None, []
            problem = str(bare(why(e)))
        job = await self._job(package, notes)
        quality = await self._quality(package, notes)
        stated = stated_of(Facts(package, job, quality, problem))
        stated.reader, stated.files, stated.no_bytes_because = reader, files, problem
        stated.notes = [*notes, *stated.notes]
        return stated

    def _adopt(self, arn: str) -> None:
        """Take account and region from an ARN: they name the source, and the bucket that SageMaker makes."""
        if self.uri:
            return
        partition, service, region, account = arn.split(":")[1:5]
        self.uri = f"arn:{partition}:{service}:{region}:{account}"
        self._roots.append(Location(f"sagemaker-{region}-{account}", ""))

    async def _job(self, package: Mapping[str, Any], notes: list[str]) -> dict[str, Any] | None:
        """Return the training job whose output is the package's model, None when none is known.

        SageMaker writes `…/JOB/output/model.tar.gz`; the job counts when it names this output as its own.
        """
        url = str(next((one.get("ModelDataUrl") for one in containers_of(package)), "") or "")
        parts = url.split("/")
        if len(parts) < 5 or parts[-2] != "output":
            return None
        name, client = parts[-3], self._aws.sagemaker
        try:
            job = await self._aws.call(name, partial(client.describe_training_job, TrainingJobName=name))
        except (NotFound, Invalid):
            return None
        except Forbidden as e:
            notes.append(f"the training job: {e.detail}")
            return None
        same = (job.get("ModelArtifacts") or {}).get("S3ModelArtifacts") == url
        return job if same else None

    async def _quality(self, package: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
        """Return the metrics document of the model's quality, as far as it can be read.

        Where the other documents of ModelMetrics are is a claim.
        """
        quality = (package.get("ModelMetrics") or {}).get("ModelQuality") or {}
        location = read_location(str((quality.get("Statistics") or {}).get("S3Uri") or ""))
        if location is None:
            return {}
        try:
            files = S3Files(self._aws, {"": location}, self._roots)
            entries = await listed(files)
            raw = await small_file(files, entries, entries[0].path, MOST_OF_A_DOCUMENT, notes)
            return msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}
        except NO_BYTES as e:
            notes.append(f"the metrics document {location}: {bare(why(e))}")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            notes.append(f"the metrics document {location} is no JSON")
        return {}


def locations_of(package: Mapping[str, Any]) -> dict[str, Location]:
    """Return where the model of each container is, by its folder in the artifact. Raises Unreachable.

    A package with one model has its files at the top; of several ones, each has a folder with its number.
    """
    found: list[tuple[int, Location]] = []
    for position, container in enumerate(containers_of(package), 1):
        source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
        uri = str(container.get("ModelDataUrl") or source.get("S3Uri") or "")
        if not uri:
            continue
        location = read_location(uri, str(container.get("ModelDataETag") or source.get("ETag") or ""))
        if location is None:
            raise Unreachable(f"{bare(uri)[:200]} is not in S3")
        if source.get("S3DataType") == "S3Prefix" and not location.key.endswith("/"):
            location = Location(location.bucket, f"{location.key}/")
        found.append((position, location))
    if not found:
        raise Unreachable("the package names no model in S3")
    return {str(position) if len(found) > 1 else "": location for position, location in found}


def _stage(version: SourceVersion) -> str:
    return str((version.raw.get("ModelLifeCycle") or {}).get("Stage") or "")


def _is_approved(version: SourceVersion) -> bool:
    """Return whether the status of its stage is approved, and the package is not rejected."""
    status = str((version.raw.get("ModelLifeCycle") or {}).get("StageStatus") or "")
    return status.casefold() == APPROVED.casefold() and version.raw.get("ModelApprovalStatus") != REJECTED


def _version(package: Mapping[str, Any]) -> SourceVersion:
    status = str(package.get("ModelPackageStatus") or "")
    skipped = "" if status in {READY, ""} else f"its status there is {status}"
    return SourceVersion(str(package["ModelPackageVersion"]), skipped, described=True, raw=package)
