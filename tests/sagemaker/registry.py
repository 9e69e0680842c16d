"""A model registry as SageMaker has it, in memory: groups, packages, their tags."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.sagemaker.shapes import MODEL, Refusal, check

REGION, ACCOUNT = "eu-central-1", "123456789012"


class Registry:
    """Groups by name, packages by ARN. A package also has the token of the request that made it."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, Any]] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateModelPackageGroup": self._create_model_package_group,
            "DescribeModelPackageGroup": self._describe_model_package_group,
            "ListModelPackageGroups": self._list_model_package_groups,
            "CreateModelPackage": self._create_model_package,
            "UpdateModelPackage": self._update_model_package,
            "DescribeModelPackage": self._describe_model_package,
            "ListModelPackages": self._list_model_packages,
            "ListTags": self._list_tags,
            "AddTags": self._add_tags,
        }

    def has(self, operation: str) -> bool:
        """Return whether an operation is answered here."""
        return operation in self._operations

    def answer(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises Refusal."""
        check(MODEL.operation_model(operation).input_shape, body)
        return self._operations[operation](dict(body))

    def _create_model_package_group(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["ModelPackageGroupName"]
        if name in self.groups:
            raise Refusal(f"Model Package Group already exists: {name}")
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/{name.lower()}"
        own = {
            "ModelPackageGroupArn": arn,
            "CreationTime": time.time(),
            "ModelPackageGroupStatus": "Completed",
        }
        self.groups[name] = body | own
        return {"ModelPackageGroupArn": arn}

    def _describe_model_package_group(self, body: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in self._group(body["ModelPackageGroupName"]).items() if k != "Tags"}

    def _list_model_package_groups(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = [{k: v for k, v in one.items() if k != "Tags"} for one in self.groups.values()]
        return _page("ModelPackageGroupSummaryList", lines, body)

    def _create_model_package(self, body: dict[str, Any]) -> dict[str, Any]:
        if "Tags" in body:
            raise Refusal("Tags are not supported for versioned model packages")
        token = body.pop("ClientToken")
        for arn, one in self.packages.items():
            if one["token"] == token:
                return {"ModelPackageArn": arn}
        group = self._group(body["ModelPackageGroupName"])["ModelPackageGroupName"]
        number = 1 + sum(one["ModelPackageGroupName"] == group for one in self.packages.values())
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{group.lower()}/{number}"
        own = {"ModelPackageArn": arn, "ModelPackageVersion": number, "ModelPackageStatus": "Completed"}
        more = {"ModelPackageName": group, "CreationTime": time.time(), "token": token}
        people = {"CreatedBy": {"UserProfileName": "alice"}}
        details = {"ModelPackageStatusDetails": {"ValidationStatuses": []}}
        approval = {"ModelApprovalStatus": body.get("ModelApprovalStatus", "PendingManualApproval")}
        self.packages[arn] = body | own | more | people | details | approval
        return {"ModelPackageArn": arn}

    def _update_model_package(self, body: dict[str, Any]) -> dict[str, Any]:
        package = self._package(body["ModelPackageArn"])
        properties = package.get("CustomerMetadataProperties", {}) | body.pop(
            "CustomerMetadataProperties", {}
        )
        for name in body.pop("CustomerMetadataPropertiesToRemove", ()):
            properties.pop(name, None)
        if len(properties) > 50:
            raise Refusal("more than 50 CustomerMetadataProperties")
        package |= body | {"CustomerMetadataProperties": properties, "LastModifiedTime": time.time()}
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _describe_model_package(self, body: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in self._package(body["ModelPackageName"]).items() if k != "token"}

    def _list_model_packages(self, body: dict[str, Any]) -> dict[str, Any]:
        group = self._group(body["ModelPackageGroupName"])["ModelPackageGroupName"]
        names = MODEL.shape_for("ModelPackageSummary").members
        lines = [
            {name: one[name] for name in names if name in one}
            for one in self.packages.values()
            if one["ModelPackageGroupName"] == group
        ]
        return _page("ModelPackageSummaryList", lines[::-1], body)

    def _list_tags(self, body: dict[str, Any]) -> dict[str, Any]:
        for group in self.groups.values():
            if group["ModelPackageGroupArn"] == body["ResourceArn"]:
                return {"Tags": group.get("Tags", [])}
        raise Refusal(f"{body['ResourceArn']} takes no tags")

    def _add_tags(self, body: dict[str, Any]) -> dict[str, Any]:
        for group in self.groups.values():
            if group["ModelPackageGroupArn"] == body["ResourceArn"]:
                tags = {one["Key"]: one for one in [*group.get("Tags", []), *body["Tags"]]}
                if len(tags) > 50:
                    raise Refusal("more than 50 tags")
                group["Tags"] = list(tags.values())
                return {"Tags": group["Tags"]}
        raise Refusal(f"{body['ResourceArn']} takes no tags")

    def _group(self, name: str) -> dict[str, Any]:
        own = name.rpartition("/")[2]
        if own not in self.groups:
            raise Refusal(f"ModelPackageGroup {name} does not exist.")
        return self.groups[own]

    def _package(self, arn: str) -> dict[str, Any]:
        if arn not in self.packages:
            raise Refusal(f"ModelPackage {arn} does not exist.")
        return self.packages[arn]


def _page(name: str, lines: list[dict[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    begin, most = int(body.get("NextToken", 0)), min(int(body.get("MaxResults", 10)), 3)
    more = {"NextToken": str(begin + most)} if begin + most < len(lines) else {}
    return {name: lines[begin : begin + most], **more}
