"""The registry's read models.

They are disposable: each row comes from one stream, and a rebuild makes all of them from the log.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.registry.labels.tables import LABEL_ALIASES, MLFLOW_MODES

_registry = MetaData()
TIME = DateTime(timezone=True)

USABLE = "semver IS NOT NULL AND stage <> 'Rejected' AND withdrawn IS NULL AND retired IS NULL"
"""The condition of VERSIONS for those that `model@latest` may name."""

_NAME_IN_ORDER = text('name COLLATE "C"')
"""The order of lists of models."""

NAMES = Table(
    "names",
    _registry,
    Column("name", Text, primary_key=True),
    Column("model_id", Text, nullable=False),
    Index("names_by_model", "model_id"),
)
"""Every name that was ever claimed. Old names stay redirects to their model."""

MODELS = Table(
    "models",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", JSONB, nullable=False),
    Column("registered_at", TIME, nullable=False),
    Column("registered_by", Text, nullable=False),
    Column("changed_at", TIME, nullable=False),
    Column("hidden", Boolean),
    Column("shown_at", TIME),
    Column("shown_revision", BigInteger),
    Column("revision", BigInteger, nullable=False),
    Index("models_by_name", "name"),
    Index("models_in_order", _NAME_IN_ORDER),
    Index("models_by_owner", "owner", _NAME_IN_ORDER),
    Index("models_by_kind", "kind", _NAME_IN_ORDER),
    Index("models_by_tier", "tier", _NAME_IN_ORDER),
    Index("models_by_tag", "tags", postgresql_using="gin"),
)
"""`changed_at`: the last change of the model, or of the stage of a version, that counts as one for MLflow's
clients; tags and aliases do not. `hidden`: they do not see it. `shown_at`: since when they see it again.
`shown_revision`: the last event that changed what they see of more
versions than the one whose revision it is."""

VERSIONS = Table(
    "versions",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("semver", Text),
    Column("stage", Text, nullable=False),
    Column("artifact_digest", Text),
    Column("identity", Text, nullable=False),
    Column("document", BigInteger, nullable=False),
    Column("bump_level", Text),
    Column("bump_rule", Text),
    Column("missing", JSONB),
    Column("registration_notes", JSONB),
    Column("description", Text),
    Column("tags", JSONB),
    Column("corrected", JSONB),
    Column("creator", Text),
    Column("dataset_name", Text),
    Column("dataset_digest", Text),
    Column("import_key", Text),
    Column("imported_from", JSONB),
    Column("registered_at", TIME, nullable=False),
    Column("registered_by", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("artifact_state", Text),
    Column("artifact_uri", Text),
    Column("artifact_detail", Text),
    Column("gates", JSONB),
    Column("reasons", JSONB),
    Column("promoted", JSONB),
    Column("legal_hold", Text),
    Column("withdrawn", Text),
    Column("withdrawal_proposed", JSONB),
    Column("withdrawal_id", Text),
    Column("retired", JSONB),
    Column("external", JSONB),
    Column("run_id", Text),
    Column("label", Text, nullable=False),
    Column("hidden", Boolean),
    Column("changed_at", TIME, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("versions_by_run", "run_id", postgresql_where=text("run_id IS NOT NULL")),
    Index("versions_by_label", "model_id", "label", "number"),
    Index("versions_by_change", "changed_at", "model_id", "number"),
    Index("versions_by_semver", "model_id", "semver"),
    Index("versions_by_artifact", "artifact_digest"),
    Index("versions_by_identity", "model_id", "identity"),
    Index("versions_by_import", "model_id", "import_key", postgresql_where=text("import_key IS NOT NULL")),
    Index("versions_by_correlation", "correlation_id"),
    Index("versions_by_message", "message_id", "registered_by", postgresql_where=text("message_id <> ''")),
    Index("versions_by_stage", "model_id", "stage", "number"),
    Index("versions_by_time", "registered_at", "model_id", "number"),
    Index("versions_of_model_by_time", "model_id", "registered_at", "number"),
    Index("versions_in_stage", "stage", "registered_at", "model_id", "number"),
    Index("versions_by_creator", "creator", "registered_at", "model_id", "number"),
    Index("versions_by_tag", "tags", postgresql_using="gin", postgresql_where=text("tags IS NOT NULL")),
    Index("versions_that_may_be_used", "model_id", "number", postgresql_where=text(USABLE)),
    Index("versions_by_dataset_name", "dataset_name", "model_id", "number"),
    Index("versions_by_dataset_digest", "dataset_digest", "model_id", "number"),
    Index("versions_by_withdrawal", "withdrawal_id", postgresql_where=text("withdrawal_id IS NOT NULL")),
    Index("versions_withdrawn", "dataset_digest", postgresql_where=text("withdrawn IS NOT NULL")),
)
"""`document` is the revision of the event that holds the version's metadata and its bump.

Only the log stores those two.

`gates` is the last automated verdict, `promoted` the last promotion; `legal_hold` and `withdrawn` are the
reasons. `withdrawal_proposed` waits for a second person; `withdrawal_id` is the step that withdrew several
versions. `message_id` is the message that registered the version; it is empty for a registration over HTTP.
`corrected` are the corrections of the document that are valid now, by path. `external` is where a draft
came from, `run_id` is its run there. `label` is the stage that MLflow's clients gave the version, and they do
not see one that is `hidden`. `changed_at` is as in MODELS. `imported_from`
names the version in another registry, and `import_key` is the digest of that.
"""

NOTES = Table(
    "notes",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("note", Integer, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("text", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", TIME, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Each text that a note of a version had; the one with the highest revision is the note's text now."""

CORRECTIONS = Table(
    "corrections",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("by", Text, nullable=False),
    Column("at", TIME, nullable=False),
    Column("reason", Text, nullable=False),
)
"""What was changed of a version's description, tags and metadata since its registration."""

CHILDREN = Table(
    "children",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("child_model_id", Text, primary_key=True),
    Column("child_number", Integer, primary_key=True),
    Column("relation", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("since", TIME, nullable=False),
    Index("children_by_child", "child_model_id", "child_number"),
)
"""The versions that were made from a version, retired ones, too.

A parent that is not in this registry has its URL as `model_id`, number 0, and the digest of its bytes.
"""

EVALUATION_DATA = Table(
    "evaluation_data",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("dataset_digest", Text, primary_key=True),
    Column("dataset_name", Text, primary_key=True),
    Index("evaluation_data_by_digest", "dataset_digest", "model_id", "number"),
    Index("evaluation_data_by_name", "dataset_name", "model_id", "number"),
)
"""The data sets that versions were evaluated on, at training and later."""

SERVED = Table(
    "served",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("since", TIME, nullable=False),
    Column("until", TIME),
)
"""Where versions get requests, or got them last; `until` is NULL while they do."""

EVALUATIONS = Table(
    "evaluations",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("dataset_digest", Text, nullable=False),
    Column("dataset_name", Text, nullable=False),
    Column("definition", Text),
    Column("higher_is_better", Boolean, nullable=False),
    Column("primary_metric", Boolean, nullable=False),
    Column("independent", Boolean, nullable=False),
    Column("measured_by", Text, nullable=False),
    Column("recorded_at", TIME, nullable=False),
    Index("evaluations_by_version", "model_id", "number"),
)
"""Evaluations recorded since registration. Claims made at training are in the version's metadata."""

MEASUREMENTS = Table(
    "measurements",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("dataset_digest", Text, primary_key=True),
    Column("definition", Text, primary_key=True),
    Column("author", Text, primary_key=True),
    Column("value", Float, nullable=False),
    Column("dataset_name", Text, nullable=False),
    Column("higher_is_better", Boolean, nullable=False),
    Column("primary_metric", Boolean, nullable=False),
    Column("independent", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("measurements_by_value", "name", "value"),
    Index("measurements_of_model", "model_id", "name", "value"),
)
"""What counts of the metrics of complete versions: claims made at training and evaluations recorded since.

A claim replaces any claim of the same metric, data and definition; an independent evaluation only one by the
same `author`, which is empty for claims. Approval has the same rule.
"""

ALIASES = Table(
    "aliases",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("semver", Text, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("set_at", TIME, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

ENVIRONMENTS = Table(
    "environments",
    _registry,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("production", Boolean, nullable=False),
    Column("place", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("retired", Boolean, nullable=False),
    Column("changed_at", TIME, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
"""`namespace` is empty for a global environment. `place` is its order in lists."""

ROLLOUTS = Table(
    "rollouts",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("production", Boolean, nullable=False),
    Column("champion", Integer, nullable=False),
    Column("entries", JSONB, nullable=False),
    Column("previous", JSONB, nullable=False),
    Column("rolled_back_from", Integer),
    Column("skipped", JSONB),
    Column("warning", Text, nullable=False),
    Column("changed_at", TIME, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("rollouts_by_environment", "environment", "model_id"),
)
"""`champion` is 0 while the rollout is stopped; `entries` is empty then."""

PROMOTIONS = Table(
    "promotions",
    _registry,
    Column("promotion_id", Text, primary_key=True),
    Column("model_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("environment", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("requested_at", TIME, nullable=False),
    Column("reason", Text, nullable=False),
    Column("serve", Boolean, nullable=False),
    Column("production", Boolean, nullable=False),
    Column("reasons", JSONB),
    Column("approvers", JSONB),
    Column("conditions", JSONB),
    Column("closed_at", TIME),
    Index("promotions_by_version", "model_id", "number"),
)

REFUSALS = Table(
    "refusals",
    _registry,
    Column("stream", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("model", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("problems", JSONB, nullable=False),
    Column("proof", JSONB, nullable=False),
    Column("artifact_digest", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("refused_at", TIME, nullable=False),
    Column("refused_of", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Index("refusals_by_time", "refused_at", "stream", "revision"),
    Index("refusals_by_model", "model"),
    Index("refusals_by_correlation", "correlation_id"),
    Index("refusals_by_message", "message_id", "refused_of", postgresql_where=text("message_id <> ''")),
)
"""`refused_of` is the subject whose registration was refused."""

TABLES = (
    NAMES,
    MODELS,
    VERSIONS,
    NOTES,
    CORRECTIONS,
    CHILDREN,
    EVALUATION_DATA,
    SERVED,
    EVALUATIONS,
    MEASUREMENTS,
    ALIASES,
    LABEL_ALIASES,
    MLFLOW_MODES,
    ENVIRONMENTS,
    ROLLOUTS,
    PROMOTIONS,
    REFUSALS,
)
