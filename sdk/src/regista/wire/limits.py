"""The limits of what publishers send.

Each is written once: the client checks them before it uploads, the services and the schemas enforce them, and
Kafka's topics are configured with them. `docs/from-any-language.md` lists them.
"""

from __future__ import annotations

DATA_BYTES = 1024 * 1024
"""Data of a publisher's message, and body of an HTTP request."""
EVENT_BYTES = DATA_BYTES + DATA_BYTES // 2
"""The event that stores a version: the data, and what the registry adds to them."""
RECORD_BYTES = 2 * 1024 * 1024
"""A record of Kafka: the data of a publisher's message with all its headers, or a dead letter."""
FILES = 2_000
"""Files of an artifact."""
PATH_BYTES = 600
"""The path of a file in its artifact, in bytes of UTF-8. An S3 key has at most 1,024 with our prefix."""
PART_BYTES = 200
"""One part of a path, in bytes of UTF-8: below what common file systems allow (255)."""
FILE_BYTES = 50 * 1024**3
"""One file. An installation may allow less: `GET /v1/uploads/limits` of the artifact service."""
ARTIFACT_BYTES = 200 * 1024**3
"""All files of an artifact. An installation may allow less."""

NAME = 200
LABEL = 500
TEXT = 2_000
"""Characters of names, of short and of long texts."""
CLAIM = 100_000
"""Characters of a text that an importer keeps as another registry has it."""
TAGS = 100
TAG_NAME = 250
TAG_VALUE = 5_000
"""Characters: what every server of MLflow stores."""
TAGS_TEXT = 64_000
"""Characters of all names and values of the tags of a model or a version."""
METRICS = 200
PARENTS = 100
FEATURES = 20_000
"""Also the inputs of a schema, and the labels of one output."""
OUTPUTS = 1_000
EXACT = 2**53 - 1
"""The largest integer that every JSON reader reads exactly. The digests of RFC 8785 allow no larger one."""
DEPTH = 20
"""Levels of `config` and of `environment`."""
