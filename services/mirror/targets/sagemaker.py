"""SageMaker's model registry as a target: a model package group for a model, a package for a version.

Settings: `region`, `bucket`, and `inference_specification`, the template of each package as SageMaker's API
has it, without the location of the model; `prefix` in the bucket, `name_prefix` before the names of groups,
`profile` of AWS's configuration files, and `endpoint_url`, another address of SageMaker and of S3. The
credentials are those of AWS's default chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.mirror.targets.aws_calls import AwsCalls
from services.mirror.targets.base import Files, Found, Refused, Unavailable, Wanted
from services.mirror.targets.model_archive import NAME, archive, size_of
from services.mirror.targets.sagemaker_fields import (
    ID,
    LONGEST_TEXT,
    OWN,
    PENDING,
    approval_of,
    approval_text,
    archive_text,
    description_of,
    fields_of,
    found_fields,
    life_cycle,
    mark_of,
    metrics_of,
    name_there,
    properties_of,
    text,
)
from services.mirror.targets.settings import validated
from services.mirror.targets.texts import MODEL_ID, model_tags

_DIGEST = "regista-artifact"
"""The metadata of an object: the digest of the artifact from which the archive was made."""
_EXISTS = "already exist"


class SagemakerSettings(BaseModel):
    """See the first lines of this file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    region: str = Field(pattern=r"^[a-z0-9-]{3,30}$")
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    inference_specification: dict[str, Any]
    prefix: str = Field("regista", max_length=300, pattern=r"^[A-Za-z0-9._/-]*$")
    name_prefix: str = Field("", max_length=30, pattern=r"^([A-Za-z0-9][A-Za-z0-9-]*)?$")
    profile: str = Field("", max_length=100)
    endpoint_url: str = Field("", max_length=500, pattern=r"^(https?://[^\s@]+)?$")

    @field_validator("inference_specification")
    @classmethod
    def _one_container(cls, value: dict[str, Any]) -> dict[str, Any]:
        containers = value.get("Containers")
        if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
            raise ValueError("it needs a container, with its Image")
        if {"ModelDataUrl", "ModelDataSource"} & containers[0].keys():
            raise ValueError("the mirror sets the location of the model in the first container")
        return value


def open_target(settings: Mapping[str, Any]) -> SagemakerTarget:
    """Return the target with these settings. Raises Refused."""
    return SagemakerTarget(validated(SagemakerSettings, settings, "SageMaker"))


class SagemakerTarget:
    """The model registry of an account in one region."""

    def __init__(self, settings: SagemakerSettings) -> None:
        self._settings = settings
        self._aws = AwsCalls(settings.region, settings.profile, settings.endpoint_url)

    async def close(self) -> None:
        """Close connections."""
        await self._aws.close()

    def name_of(self, model: str) -> str:
        """Return the name of the model's group."""
        return name_there(self._settings.name_prefix, model)

    def shown(self, wanted: Wanted) -> Mapping[str, str]:
        """Return approval, life cycle, properties, and size and digest of the files."""
        return fields_of(wanted)

    async def read(self, wanted: Wanted) -> Found | None:
        """Return the package with our property."""
        package = await self._package(wanted)
        return await self._found(wanted, package) if package is not None else None

    async def write(self, wanted: Wanted, files: Files) -> Found:
        """Write the group and the archive, then the package, and its approval last."""
        package = await self._package(wanted)
        if wanted.files:
            await self._store(wanted, files)
        if package is None:
            await self._group(wanted)
            await self._create(wanted)
            package = await self._package(wanted)
        if package is None:
            raise Unavailable("SageMaker does not show the package that was written to it.")
        await self._update(wanted, package)
        package = await self._package(wanted)
        if package is None:
            raise Unavailable("SageMaker does not show the package that was written to it.")
        return await self._found(wanted, package)

    async def _package(self, wanted: Wanted) -> dict[str, Any] | None:
        """Return the package with our property.

        It often has our number. Otherwise it is found in the list, by the end of its description.
        """
        client = self._aws.sagemaker
        try:
            query = {"ModelPackageGroupName": self._name(wanted)}
            group = await self._aws.call(client.describe_model_package_group, **query)
        except LookupError:
            return None
        arn = str(group["ModelPackageGroupArn"]).replace(":model-package-group/", ":model-package/", 1)
        guess = await self._described(f"{arn}/{wanted.number}")
        if guess is not None and _is_ours(guess, wanted):
            return guess
        query["SortBy"] = "CreationTime"
        while True:
            page = await self._aws.call(client.list_model_packages, MaxResults=100, **query)
            for one in page.get("ModelPackageSummaryList") or ():
                if str(one.get("ModelPackageDescription") or "").endswith(mark_of(wanted)):
                    return await self._described(one["ModelPackageArn"])
            if not page.get("NextToken"):
                return None
            query["NextToken"] = page["NextToken"]

    async def _described(self, arn: str) -> dict[str, Any] | None:
        try:
            return await self._aws.call(self._aws.sagemaker.describe_model_package, ModelPackageName=arn)
        except LookupError:
            return None

    async def _found(self, wanted: Wanted, package: Mapping[str, Any]) -> Found:
        fields = found_fields(package)
        if wanted.files:
            there = await self._aws.head(self._settings.bucket, self._key(wanted))
            if there is not None:
                fields[NAME] = _archive_of(there)
        return Found(str(package["ModelPackageArn"]), fields)

    async def _group(self, wanted: Wanted) -> None:
        """Create the group, or find it with our tag. One that others made is not taken over."""
        client, name = self._aws.sagemaker, self._name(wanted)
        query = {"ModelPackageGroupName": name}
        try:
            group = await self._aws.call(client.describe_model_package_group, **query)
        except LookupError:
            try:
                await self._aws.call(
                    client.create_model_package_group,
                    **query,
                    ModelPackageGroupDescription=text(wanted.model_description)[:LONGEST_TEXT],
                    Tags=[{"Key": key, "Value": value} for key, value in model_tags(wanted).items()],
                )
            except Refused as e:
                if _EXISTS not in str(e):
                    raise
                group = await self._aws.call(client.describe_model_package_group, **query)
            else:
                return
        tags = await self._aws.call(client.list_tags, ResourceArn=group["ModelPackageGroupArn"])
        if {one["Key"]: one["Value"] for one in tags.get("Tags") or ()}.get(MODEL_ID) != wanted.model_id:
            raise Refused(
                f"SageMaker has a model package group {name!r} that is not this mirror's: set name_prefix in"
                f" the target's settings, or give it to the mirror by its tag {MODEL_ID}={wanted.model_id};"
                " then run `regista mirror check --repair`."
            )

    async def _create(self, wanted: Wanted) -> None:
        """Create the package, which no one approved yet. The same request twice makes one package."""
        if not wanted.files:
            raise Refused("A model package needs files, and this version has none here.")
        first, *others = self._settings.inference_specification["Containers"]
        url = f"s3://{self._settings.bucket}/{self._key(wanted)}"
        containers = [{**first, "ModelDataUrl": url}, *others]
        body = {
            "ModelPackageGroupName": self._name(wanted),
            "ModelPackageDescription": description_of(wanted),
            "ModelApprovalStatus": PENDING,
            "InferenceSpecification": {**self._settings.inference_specification, "Containers": containers},
            "CustomerMetadataProperties": properties_of(wanted),
            "ModelLifeCycle": life_cycle(wanted),
            **await self._metrics(wanted),
        }
        token = hashlib.sha256(json.dumps([wanted.tag, body], sort_keys=True, default=str).encode())
        await self._aws.call(
            self._aws.sagemaker.create_model_package, ClientToken=token.hexdigest()[:32], **body
        )

    async def _metrics(self, wanted: Wanted) -> dict[str, Any]:
        """Store the document of the metrics, and return the field that names it."""
        if not wanted.metrics:
            return {}
        document, key = metrics_of(wanted), f"{self._folder(wanted)}/metrics.json"
        bucket = self._settings.bucket
        await self._aws.upload(bucket, key, _once(document), len(document), ContentType="application/json")
        digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
        uri = f"s3://{bucket}/{key}"
        stated = {"ContentType": "application/json", "ContentDigest": digest, "S3Uri": uri}
        return {"ModelMetrics": {"ModelQuality": {"Statistics": stated}}}

    async def _store(self, wanted: Wanted, files: Files) -> None:
        """Store the archive unless it is there. An object without our digest is not taken for it."""
        bucket, key, size = self._settings.bucket, self._key(wanted), size_of(wanted.files)
        there = await self._aws.head(bucket, key)
        if there is None or _archive_of(there) != archive_text(size, wanted.artifact_digest):
            pieces = archive(wanted.files, files)
            await self._aws.upload(bucket, key, pieces, size, Metadata={_DIGEST: wanted.artifact_digest})

    async def _update(self, wanted: Wanted, package: Mapping[str, Any]) -> None:
        """Set what may change. All of it is sent: no part of it is left as someone else set it."""
        properties = properties_of(wanted)
        old = package.get("CustomerMetadataProperties") or {}
        gone = sorted(key for key in old if key.startswith(OWN) and key not in properties)
        more = {"CustomerMetadataPropertiesToRemove": gone} if gone else {}
        await self._aws.call(
            self._aws.sagemaker.update_model_package,
            ModelPackageArn=package["ModelPackageArn"],
            ModelApprovalStatus=approval_of(wanted),
            ApprovalDescription=approval_text(wanted),
            ModelLifeCycle=life_cycle(wanted),
            CustomerMetadataProperties=properties,
            **more,
        )

    def _name(self, wanted: Wanted) -> str:
        return wanted.name_there or self.name_of(wanted.model)

    def _folder(self, wanted: Wanted) -> str:
        parts = (self._settings.prefix.strip("/"), self._name(wanted), str(wanted.number))
        return "/".join(part for part in parts if part)

    def _key(self, wanted: Wanted) -> str:
        return f"{self._folder(wanted)}/{wanted.artifact_digest.rpartition(':')[2][:16]}/{NAME}"


def _is_ours(package: Mapping[str, Any], wanted: Wanted) -> bool:
    properties = package.get("CustomerMetadataProperties") or {}
    mark = str(package.get("ModelPackageDescription") or "").endswith(mark_of(wanted))
    return mark or properties.get(ID) == wanted.tag


def _archive_of(there: Mapping[str, Any]) -> str:
    return archive_text(there["ContentLength"], (there.get("Metadata") or {}).get(_DIGEST, ""))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
