"""Digests that open reviews and requests hold do not change with the software.

A review lapses when the digest of its evidence changes, and a request when the registry's does. So what is
added to the evidence after a release stays out of the digest while it has its default (ADR 0186). When a test
fails here, do that; do not change the digest.
"""

from __future__ import annotations

from services.approval.domain.evidence import Evidence, digest_of, evidence_digest, sealed_evidence_digest
from services.approval.domain.noted import Champion, Evaluation, Signature, SignatureField
from services.approval.domain.review_events import Seal

SIGNATURE = Signature(
    (SignatureField("age", "int64"),), (SignatureField("score", "float64", labels=("a", "b")),)
)
ACCURACY = Evaluation("accuracy", 0.875, "sha256:data", "holdout", by="ci")
PLAIN = Evidence("m", "team.churn", "model", "medium", 2, "1.1.0", "sha256:v", "sha256:a", "released")
FULL = Evidence(
    "m",
    "team.churn",
    "model",
    "high",
    2,
    "1.1.0",
    "sha256:v",
    "sha256:a",
    "released",
    "minor",
    {"team": "x"},
    ("carl", "bea"),
    ("code",),
    SIGNATURE,
    (ACCURACY,),
    Champion(1, "1.0.0", "sha256:b", SIGNATURE, (ACCURACY,)),
    ("team.base@1",),
)


def test_the_evidence_of_gates_keeps_its_digests() -> None:
    assert [evidence_digest(one) for one in (PLAIN, FULL)] == [
        "sha256:3650f1312f8b0ed359c79dfec2f17f9ee7f4eb7f8c2e94e44de52128004f7a84",
        "sha256:d994186bed265dee5cfaf54f3dda5008ee46bb96989f7385b2842e9201094d57",
    ]
    assert [sealed_evidence_digest(one) for one in (PLAIN, FULL)] == [
        "sha256:b8ddf22811978287d0aa29426981cc5c067676e10372cba389233705b29d804c",
        "sha256:f125aa067c2f2b330b096cd54eaaf567709ba288a4f21d23e3912ff13d219098",
    ]


def test_a_seal_keeps_its_digest() -> None:
    sealed = digest_of(Seal("sha256:v", "sha256:a", "sha256:e", "sha256:p"))
    assert sealed == "sha256:ce8a1d08d262517a13e647538db3bd30da45275f1795a6c693926a18bfba0ac3"
