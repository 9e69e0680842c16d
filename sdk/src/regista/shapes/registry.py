"""Shapes of requests to registry, and of its answers.

`python -m tools.contracts` writes this file.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class AliasAnswer(TypedDict):
    alias: str
    number: int
    semver: str
    protected: bool
    set_at: str
    set_by: str
    revision: int


class Aliases(TypedDict):
    items: list[AliasAnswer]


class Artifact(TypedDict):
    """`location`: id of the publisher's upload, or a URI below `quarantine/<their subject>/` in the store."""

    digest: str
    files: list[File]
    location: str


class BumpAnswer(TypedDict):
    """Why the version has its number.

    `rule` applies to the differences from the version `compared_with` (0: none). `note` explains a
    claim. `changes` are the most important differences; `ignored` are the paths of configuration values
    that changed and are noise; `omitted` counts the others. The diff of both versions shows all.
    """

    level: Literal["patch", "minor", "major"] | None
    rule: str
    compared_with: int
    compared_with_semver: str
    claimed: str
    note: str
    proven: Literal["patch", "minor", "major"] | None
    changes: list[ChangeAnswer]
    omitted: int
    ignored: list[str]


class Caller(TypedDict):
    """Who sends the request, and the caller's roles. One of `key` and `sign_in` is null.

    A call with a token has the roles of the person's groups at its issuer, beside the person's own.
    """

    subject: str
    kind: Literal["person", "publisher", "service", "group"]
    name: str
    key: UsedKey | None
    sign_in: UsedSignIn | None
    roles: list[HeldRole]


class ChangeAnswer(TypedDict):
    """One difference. `level`: the bump it proves; `breaking`: callers notice."""

    part: Literal[
        "schema",
        "code",
        "config",
        "features",
        "framework",
        "parents",
        "metrics",
        "data",
        "seed",
        "environment",
        "artifact",
    ]
    path: str
    what: str
    before: Any
    after: Any
    detail: str
    breaking: bool
    level: Literal["patch", "minor", "major"] | None


class ClaimOfJob(TypedDict):
    """A claim of the token, and its exact value; a value that ends in `/*` stands for one more part."""

    name: str
    value: str


class Code(TypedDict):
    digest: NotRequired[str | None]
    revision: NotRequired[str | None]
    repository: NotRequired[str | None]


class ComparedVersion(TypedDict):
    model_id: str
    model: str
    number: int
    semver: str
    stage: Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]
    artifact_digest: str | None


class ComparisonAnswer(TypedDict):
    """Metrics, then configuration values that differ, data, other training facts, schema, and sizes."""

    versions: list[ComparedVersion]
    rows: list[ComparisonRow]


class ComparisonRow(TypedDict):
    """A value for each version, in the order of `versions`; null where it has none.

    `on`: the data that a metric was measured on. `best`: the places of the best values, where all
    versions measured it on the same data by the same definition. `noise`: a configuration value that
    does not count.
    """

    part: Literal["metrics", "config", "data", "training", "schema", "size"]
    name: str
    values: list[Any]
    on: str
    best: list[int]
    noise: bool


class Condition(TypedDict):
    """A condition on a field, or on the value of the tag of that name."""

    field: NotRequired[
        Literal[
            "name", "version_number", "run_id", "source_path", "creation_timestamp", "last_updated_timestamp"
        ]
    ]
    tag: NotRequired[str | None]
    comparison: Literal["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN"]
    values: list[str]


class CorrectionAnswer(TypedDict):
    """What was changed of a version's description, tags or metadata, by whom, when and why."""

    field: str
    before: Any
    after: Any
    by: str
    at: str
    reason: str


class Dataset(TypedDict):
    name: NotRequired[str]
    digest: NotRequired[str | None]


class DiffAnswer(TypedDict):
    model_id: str
    old: VersionName
    new: VersionName
    changes: list[ChangeAnswer]


class EarlierText(TypedDict):
    text: str
    at: str


class EntryAnswer(TypedDict):
    """A version that serves, with its `percent` of the requests.

    `withdrawn`: why it must not be loaded. `conditions`: those of its approvals. `grant_withdrawn`: the
    override that let it serve was not justified.
    """

    number: int
    semver: str
    percent: int
    role: Literal["champion", "challenger", "shadow", "standby"]
    withdrawn: str | None
    conditions: list[str]
    grant_withdrawn: bool


class EnvironmentAnswer(TypedDict):
    """`environment` is the full name; models call it `name`. `revision` is the ETag."""

    environment: str
    namespace: str
    name: str
    production: bool
    order: int
    description: str
    retired: bool
    changed_at: str
    changed_by: str
    revision: int


class EnvironmentChanges(TypedDict):
    """What is given changes. Whether an environment is production never does."""

    order: NotRequired[int | None]
    description: NotRequired[str | None]


class Environments(TypedDict):
    items: list[EnvironmentAnswer]
    next_page_token: str


class Erasure(TypedDict):
    """Why the name is erased. The log stores the reason permanently, so it must not contain the name."""

    reason: str


class ErasureAnswer(TypedDict):
    """`kept` names where the name is still stored."""

    subject: str
    name_erased_at: str
    kept: str


class EvaluationAnswer(TypedDict):
    name: str
    value: float
    dataset_digest: str
    dataset_name: str
    definition: str | None
    higher_is_better: bool
    primary: bool
    independent: bool
    by: str
    recorded_at: str


class ExchangeAnswer(TypedDict):
    """The answer of RFC 8693: `access_token` is an API key, shown this once and stored nowhere.

    `scope` is `publisher:<namespace>`, divided by spaces. `publisher` is the subject that the key acts
    as. `started_by`: who counts as a maker of what the job publishes, "" where the token states no one.
    `signing_key_id`: the id of the signing key whose public half came with the request.
    """

    access_token: str
    issued_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"]
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str
    publisher: str
    started_by: str
    key_id: str
    signing_key_id: str | None
    expires_at: str


class ExchangeForm(TypedDict):
    """The form of RFC 8693. `public_key`: of an Ed25519 key that the job made, to sign messages on Kafka.

    `trust`: the id of a trust, needed only where a token fits several.
    """

    grant_type: Literal["urn:ietf:params:oauth:grant-type:token-exchange"]
    subject_token: str
    subject_token_type: Literal[
        "urn:ietf:params:oauth:token-type:jwt",
        "urn:ietf:params:oauth:token-type:id_token",
        "urn:ietf:params:oauth:token-type:access_token",
    ]
    requested_token_type: NotRequired[Literal["urn:ietf:params:oauth:token-type:access_token"] | None]
    public_key: NotRequired[str | None]
    trust: NotRequired[str | None]


class External(TypedDict):
    """Where a draft came from while its bytes are elsewhere: the source, and the run that made them."""

    uri: str
    run_id: NotRequired[str]
    run_link: NotRequired[str]
    model_id: NotRequired[str]


class File(TypedDict):
    path: str
    size: int
    sha256: str


class Framework(TypedDict):
    name: str
    version: NotRequired[str]


class GatesAnswer(TypedDict):
    """The newest verdict of the automated gates for Validated."""

    passed: bool
    results: list[dict[str, Any]]
    policy: dict[str, Any] | None
    at: str


class Grant(TypedDict):
    """`namespace`: the role counts there and in all namespaces below it; `*` is everywhere."""

    role: Literal["publisher", "engineer", "approver", "auditor", "admin", "override"]
    namespace: str
    reason: NotRequired[str]


class HeldRole(TypedDict):
    """`group` is the group, here or at an issuer, that gives the role, "" for a grant of its own."""

    role: str
    namespace: str
    group: str


class Identities(TypedDict):
    items: list[IdentityAnswer]
    next_page_token: str


class IdentityAnswer(TypedDict):
    """`name` is empty when none was given, or when it was erased. `members` are those of a group.

    `links`: what counts as the same person, directly. An admin of a namespace sees the roles there
    only, and `keys`, `members` and `links` are null. `notes`: what who just granted a role should know
    about it.
    """

    subject: str
    kind: Literal["person", "publisher", "service", "group"]
    name: str
    name_erased_at: str | None
    created_at: str
    created_by: str
    disabled_at: str | None
    keys: list[IdentityKey] | None
    roles: list[HeldRole]
    members: list[str] | None
    links: list[IdentityLink] | None
    notes: NotRequired[list[str]]


class IdentityKey(TypedDict):
    """`issued_by` is the subject itself after a rotation of its own. `last_used` is a day (UTC).

    `issued_by_another`: the issuer has seen the key, so it does not prove who acts. `with_groups`: it
    has the roles of the person's groups at the issuer of the token by which it was issued.
    """

    key_id: str
    algorithm: str
    issued_at: str
    issued_by: str
    issued_by_another: bool
    expires_at: str | None
    revoked_at: str | None
    compromised: bool
    with_groups: bool
    last_used: str | None


class IdentityLink(TypedDict):
    """`other` is another identity of the same person, or with `login` a name under which it starts jobs."""

    other: str
    login: bool
    linked_at: str
    linked_by: str


class ImportName(TypedDict):
    """The name of a version in another registry."""

    system: str
    uri: str
    id: str
    number: str


class ImportedFrom(TypedDict):
    """A version in another registry, and what that registry states about it: claims that count nowhere
    here.

    `system` (such as `mlflow`), `uri`, `id` (the model) and `number` name the version there. A version
    that was imported already is returned, not registered again.
    """

    system: str
    uri: str
    id: str
    number: str
    created_at: NotRequired[str | None]
    created_by: NotRequired[str | None]
    stage: NotRequired[str | None]
    aliases: NotRequired[list[str]]
    description: NotRequired[str | None]
    tags: NotRequired[dict[str, Any] | None]
    details: NotRequired[dict[str, Any] | None]


class Input(TypedDict):
    name: str
    type: str
    required: NotRequired[bool]
    unit: NotRequired[str | None]


class IssuerAnswer(TypedDict):
    """An issuer that is or was trusted. `key` names it in paths and in the `method` of actors."""

    key: str
    issuer: str
    trusted: bool
    audience: str
    client_id: str
    scopes: list[str]
    algorithms: list[str]
    groups_claim: str
    trusted_by: str
    groups: list[MappedGroupAnswer]


class Issuers(TypedDict):
    items: list[IssuerAnswer]


class KeyAnswer(TypedDict):
    """`api_key` is shown this once and stored nowhere. `with_groups`: it has the roles of groups, too."""

    subject: str
    key_id: str
    algorithm: str
    expires_at: str | None
    with_groups: bool
    api_key: NotRequired[str | None]


class LabelAlias(TypedDict):
    number: int


class LabelChange(TypedDict):
    """What is given changes. `archive_existing`: other versions with that stage become Archived.

    `hidden`: MLflow's clients do not see the version any more.
    """

    reason: NotRequired[str]
    stage: NotRequired[Literal["None", "Staging", "Production", "Archived"] | None]
    archive_existing: NotRequired[bool]
    hidden: NotRequired[Literal[True] | None]


class LineageAnswer(TypedDict):
    """What a version was made from and what was made from it, the nearest first.

    `hidden` counts versions that the caller may not see; `truncated`: there are more than are shown. As
    of a moment, `too_long` names the models with too many events to state what their versions were.
    """

    model_id: str
    model: str
    number: int
    ancestors: list[RelatedVersion]
    descendants: list[RelatedVersion]
    hidden: int
    truncated: bool
    too_long: list[str]


class Link(TypedDict):
    """A link, with the identity that it is of. One of two identities is shown under the first of them."""

    other: str
    login: bool
    linked_at: str
    linked_by: str
    subject: str
    reason: str


class Links(TypedDict):
    items: list[Link]
    next_page_token: str


class MappedGroup(TypedDict):
    """The role that members of the group have. `namespace`: there and below; `*` is everywhere."""

    group: str
    role: Literal["publisher", "engineer", "approver", "auditor", "admin", "override"]
    namespace: str
    reason: NotRequired[str]


class MappedGroupAnswer(TypedDict):
    """`mapped_by` counts as having granted the role to each member."""

    group: str
    role: str
    namespace: str
    mapped_by: str


class Member(TypedDict):
    """The subject of a person or publisher that joins or leaves the group."""

    member: str
    reason: NotRequired[str]


class Metric(TypedDict):
    """Comparable with others of the same name, data set digest and definition."""

    name: str
    value: float
    dataset_digest: str
    dataset_name: str
    definition: NotRequired[str | None]
    higher_is_better: NotRequired[bool]
    primary: NotRequired[bool]


class MlflowModel(TypedDict):
    """A model as MLflow's clients see it, with the newest version of each of their stages.

    `aliases`, `environments` (their champions) and `label_aliases` have version numbers by name.
    """

    model_id: str
    model: str
    namespace: str
    mode: Literal["governed", "labels"]
    description: str
    tags: dict[str, str]
    owner: str
    tier: str
    registered_at: str
    registered_by: str
    changed_at: str
    hidden: bool
    aliases: dict[str, int]
    environments: dict[str, int]
    label_aliases: dict[str, int]
    newest: list[MlflowVersion]


class MlflowModels(TypedDict):
    """A page of models. `more`: there are further ones."""

    items: list[MlflowModel]
    more: bool


class MlflowVersion(TypedDict):
    """A version as MLflow's clients see it.

    `label`: their stage. Where the namespace is governed it follows from Regista's: `Production` serves
    in production. `environments`: where it is the champion. `hidden`: it or its model is deleted for
    them, or it is retired.
    """

    model_id: str
    model: str
    namespace: str
    mode: Literal["governed", "labels"]
    number: int
    semver: str | None
    stage: Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]
    label: Literal["None", "Staging", "Production", "Archived"]
    description: str | None
    tags: dict[str, str] | None
    creator: str | None
    registered_at: str
    registered_by: str
    changed_at: str
    artifact_digest: str | None
    artifact_state: str | None
    artifact_detail: str | None
    missing: list[str] | None
    reasons: list[str] | None
    external: External | None
    withdrawn: str | None
    gates_passed: bool | None
    hidden: bool
    aliases: list[str]
    environments: list[str]
    label_aliases: list[str]
    open_promotions: list[str]


class MlflowVersions(TypedDict):
    """A page of versions. `more`: there are further ones."""

    items: list[MlflowVersion]
    more: bool


class ModeAnswer(TypedDict):
    """The mode that holds in a namespace: its own, or that of the nearest one above it."""

    namespace: str
    mode: Literal["governed", "labels"]


class ModeChange(TypedDict):
    """`labels`: MLflow's clients set stages and aliases of their own, which decide nothing."""

    reason: str
    mode: Literal["governed", "labels"]


class ModelAnswer(TypedDict):
    """A model. `revision` is its ETag; `production` the champion's number there."""

    model_id: str
    model: str
    namespace: str
    kind: Literal["model", "adapter", "embedding", "preprocessing", "prompt"]
    owner: str
    tier: Literal["low", "medium", "high"]
    description: str
    tags: dict[str, str]
    registered_at: str
    registered_by: str
    newest: int | None
    newest_semver: str | None
    production: int | None
    revision: int


class ModelChanges(TypedDict):
    """A JSON merge patch (RFC 7396): only what is given changes.

    In `tags`, a text adds a tag or changes its value, and null removes it; other tags stay. `tags` null
    removes all tags, `description` null or "" clears it.
    """

    name: NotRequired[str | None]
    owner: NotRequired[str | None]
    description: NotRequired[str | None]
    tags: NotRequired[dict[str, str | None] | None]
    tier: NotRequired[Literal["low", "medium", "high"] | None]


class ModelVisibility(TypedDict):
    """Whether MLflow's clients see the model."""

    reason: NotRequired[str]
    hidden: bool


class Models(TypedDict):
    """`too_long`, of a list as of a moment: the models then with too many events to show what they were."""

    items: list[ModelAnswer]
    too_long: list[str]
    next_page_token: str


class MomentOfModel(TypedDict):
    """What happened at a moment. Several events of one moment are shown by the first."""

    at: str
    type: str
    by: str
    number: int | None
    environment: str | None


class MomentsOfModel(TypedDict):
    """The moments of a model, the oldest first; without `complete` some of many, at even distances.

    `before` and `after` are the moments next to `at`, in any case.
    """

    model_id: str
    at: str
    items: list[MomentOfModel]
    before: MomentOfModel | None
    after: MomentOfModel | None
    complete: bool


class Names(TypedDict):
    """Names by subject: null for an erased name. A subject that never had a name is missing."""

    names: dict[str, str | None]


class NewAlias(TypedDict):
    """`protected`: only admins may move or remove the alias. When it is left out, the protection stays."""

    number: int
    protected: NotRequired[bool | None]


class NewEntry(TypedDict):
    number: int
    percent: int
    role: Literal["champion", "challenger", "shadow", "standby"]


class NewEnvironment(TypedDict):
    """`name`: `[namespace.]name`. Models of the namespace, and of those below it, may serve there.

    `production` never changes. `order`: its place in lists, the lowest first.
    """

    name: str
    production: bool
    order: NotRequired[int]
    description: NotRequired[str]


class NewEvaluation(TypedDict):
    """A metric measured on a named data set. `independent`: not by those who made the version."""

    name: str
    value: float
    dataset_digest: str
    dataset_name: NotRequired[str]
    definition: NotRequired[str | None]
    higher_is_better: NotRequired[bool]
    primary: NotRequired[bool]
    independent: NotRequired[bool]


class NewIdentity(TypedDict):
    """Without `subject` the service makes one that reveals nothing: events store subjects permanently.

    `name` is stored in the directory and can be erased.
    """

    subject: NotRequired[str | None]
    kind: Literal["person", "publisher", "service", "group"]
    name: NotRequired[str]
    reason: NotRequired[str]


class NewIssuer(TypedDict):
    """`issuer` is the URL as its tokens name it in `iss`; its discovery document stands below it.

    `audience`: what a token has to name in `aud`. `client_id`, `scopes`: what a client begins a sign-in
    with. `algorithms`: with which the issuer signs. `groups_claim`: the claim with the groups of a
    person.
    """

    issuer: str
    audience: NotRequired[str]
    client_id: NotRequired[str]
    scopes: NotRequired[list[str]]
    algorithms: NotRequired[list[str]]
    groups_claim: NotRequired[str]
    reason: NotRequired[str]


class NewKey(TypedDict):
    """With `public_key` the service registers that signing key.

    Without it the service makes an API key and shows it once. Without `expires_at` the key is valid for
    REGISTA_KEY_DAYS days, unless an admin sends `never_expires`.

    An API key that the caller issues for themselves with a token has the roles of their groups, too,
    and is valid for 24 hours at most. `without_groups` makes one that has the roles granted to them
    only.
    """

    public_key: NotRequired[str | None]
    key_id: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    never_expires: NotRequired[bool]
    without_groups: NotRequired[bool]
    reason: NotRequired[str]


class NewLink(TypedDict):
    """What is of the same human being as the identity: another identity, or a login that jobs name.

    `proof` is an API key or an access token of the other identity, for a person who links their own
    identities without an admin. It is stored nowhere, and `other` is not needed with it.
    """

    other: NotRequired[str]
    login: NotRequired[bool]
    proof: NotRequired[str | None]
    reason: str


class NewModel(TypedDict):
    """A model without versions; publishing a version makes its model, too."""

    kind: NotRequired[Literal["model", "adapter", "embedding", "preprocessing", "prompt"] | None]
    description: NotRequired[str | None]
    owner: NotRequired[str | None]
    tier: NotRequired[Literal["low", "medium", "high"] | None]
    tags: NotRequired[dict[str, str] | None]
    name: str


class NewName(TypedDict):
    name: str


class NewNote(TypedDict):
    text: str


class NewRollout(TypedDict):
    """The whole rollout: one champion, percentages that add up to 100.

    `from_number`: the champion that you saw, 0 for none.
    """

    reason: NotRequired[str]
    from_number: NotRequired[int | None]
    entries: list[NewEntry]


class NewTrust(TypedDict):
    """Jobs with a token of `issuer` for `audience`, in which each of the claims is so, act as `publisher`.

    `issuer` is the URL as its tokens name it in `iss`. One of the claims has to name a project.
    `namespaces`: where the job's key has the role publisher, and below; `*` is everywhere.
    `starter_claim`: the claim that names the person who started the job, "" for those of GitHub
    (`actor`) and GitLab (`user_login`).
    """

    reason: NotRequired[str]
    issuer: str
    audience: NotRequired[str]
    algorithms: NotRequired[list[str]]
    claims: list[ClaimOfJob]
    publisher: str
    namespaces: list[str]
    starter_claim: NotRequired[str]


class NoteAnswer(TypedDict):
    """A note: who wrote it and when. `corrected_at`: when the author corrected it last."""

    note: int
    text: str
    by: str
    at: str
    corrected_at: str | None


class NoteCorrection(TypedDict):
    """The note's text from now on. The earlier text stays."""

    text: str
    reason: NotRequired[str]


class NoteWithEarlier(TypedDict):
    """`earlier`: the texts that a correction replaced, the oldest first."""

    note: int
    text: str
    by: str
    at: str
    corrected_at: str | None
    earlier: list[EarlierText]


class Notes(TypedDict):
    items: list[NoteWithEarlier]
    next_page_token: str


class Order(TypedDict):
    field: Literal[
        "name", "version_number", "run_id", "source_path", "creation_timestamp", "last_updated_timestamp"
    ]
    descending: NotRequired[bool]


class Output(TypedDict):
    name: str
    type: str
    labels: NotRequired[list[str] | None]
    unit: NotRequired[str | None]


class Parent(TypedDict):
    """A version that this one was made from, by its model's name and its number.

    For one that is not in this registry: its URL with the revision (`hf://bert-base@5c3fe2`), and the
    digest of its bytes instead of a number.
    """

    model: str
    relation: Literal["base_model", "embedding", "preprocessing"]
    number: NotRequired[int | None]
    digest: NotRequired[str | None]


class ParentAnswer(TypedDict):
    """A parent. One that is not in this registry has a URL as `model`, number 0, and a digest."""

    model: str
    model_id: str
    number: int
    relation: Literal["base_model", "embedding", "preprocessing"]
    digest: str


class PreviousEntry(TypedDict):
    number: int
    semver: str
    percent: int
    role: Literal["champion", "challenger", "shadow", "standby"]


class PrimaryMetric(TypedDict):
    """The newest independent value of a version's primary metric, else the newest claim."""

    name: str
    value: float
    dataset_name: str
    dataset_digest: str
    higher_is_better: bool
    independent: bool


class Problem(TypedDict):
    """Why a registration was refused: the field, what is wrong with it, and what to do."""

    field: str
    problem: str


class PromotedAnswer(TypedDict):
    """The newest promotion that was carried out. `override`: it was granted without the quorum."""

    promotion_id: str
    environment: str
    at: str
    approvers: list[str]
    override: bool
    conditions: list[str]


class PromotionAnswer(TypedDict):
    """The request is open, or was granted before (`state`). `digest` covers all the evidence.

    `serve`: the grant gives the version all requests. `new` is false when the promotion stood before
    this request, which then changed nothing: `requested_by` and `reason` are those of the earlier one.
    `superseded` are the open promotions in whose place a new one stands; their approvals count no more.
    """

    promotion_id: str
    model_id: str
    number: int
    environment: str
    digest: str
    serve: bool
    state: str
    new: bool
    requested_by: str
    reason: str
    superseded: list[str]


class PromotionRequest(TypedDict):
    """`serve`: the grant gives the version all requests, where no version serves.

    Without it a grant switches nothing.
    """

    reason: NotRequired[str]
    environment: NotRequired[str]
    serve: NotRequired[bool]


class ProposedWithdrawal(TypedDict):
    """A withdrawal that waits for a second person."""

    by: str
    reason: str
    at: str


class PublicationAnswer(TypedDict):
    """`state`: registered, draft, existing (nothing new: the same version was there), refused,
    dead_lettered.

    A refused message was read and broke rules of registration. A dead-lettered one was not accepted at
    all: `code` and `problems` give the reason, to its signer and to those who may read the model; an
    operator finds it by the id `dead_letter`.

    `notes`: what the sender should know about the registration.
    """

    state: str
    model: str
    model_id: NotRequired[str | None]
    number: NotRequired[int | None]
    semver: NotRequired[str | None]
    stage: NotRequired[str | None]
    code: NotRequired[str | None]
    dead_letter: NotRequired[str | None]
    problems: NotRequired[list[Problem]]
    notes: NotRequired[list[str] | None]


class PublisherAnswer(TypedDict):
    """The publisher may register versions: it has the role in the namespace."""

    model: str
    namespace: str
    publisher: str


class RefusalAnswer(TypedDict):
    """`number`: the draft to be completed, 0 for a new version; `proof`: what contradicts an exact claim."""

    stream: str
    revision: int
    model: str
    number: int
    problems: list[Problem]
    proof: list[ChangeAnswer]
    artifact_digest: str
    creator: str
    refused_at: str
    refused_of: str
    correlation_id: str


class Refusals(TypedDict):
    items: list[RefusalAnswer]
    next_page_token: str


class Registration(TypedDict):
    """The data of a `ModelTrained` message. The path names the model; `model` may be left out."""

    kind: NotRequired[Literal["model", "adapter", "embedding", "preprocessing", "prompt"] | None]
    description: NotRequired[str | None]
    owner: NotRequired[str | None]
    tier: NotRequired[Literal["low", "medium", "high"] | None]
    tags: NotRequired[dict[str, str] | None]
    draft: NotRequired[bool]
    version: NotRequired[VersionClaim | None]
    base: NotRequired[int | str | None]
    artifact: NotRequired[Artifact | None]
    training: NotRequired[Training | None]
    signature: NotRequired[Signature | None]
    parents: NotRequired[list[Parent] | None]
    external: NotRequired[External | None]
    model: NotRequired[str]
    strict: NotRequired[bool]
    imported_from: NotRequired[ImportedFrom | None]


class ReinstateWithdrawal(TypedDict):
    """Undo a mistaken step. Only a person who neither withdrew nor proposed it may."""

    reason: str
    plan: NotRequired[str | None]
    dry_run: NotRequired[bool]
    withdrawal_id: str


class RelatedVersion(TypedDict):
    """A version in a lineage, with where it serves (`rollouts`) and served.

    `generation` counts the steps to it, `relation` is that of the last step. A parent that is not in
    this registry has a URL as `model`, number 0 and a `digest`, and nothing else.
    """

    model_id: str
    model: str
    number: int
    semver: str | None
    stage: Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"] | None
    relation: Literal["base_model", "embedding", "preprocessing"] | None
    digest: str
    generation: int
    dataset_name: str | None
    dataset_digest: str | None
    registered_at: str | None
    withdrawn: str | None
    retired: bool
    rollouts: list[VersionRolloutAnswer]
    served: list[ServedAnswer]


class RequiredReason(TypedDict):
    """Why. The audit trail stores it permanently."""

    reason: str


class Resolved(TypedDict):
    """The version behind an alias, the champion of an environment, or the latest version.

    `withdrawn`: why it must not be loaded, whatever the state of its bytes. `withdrawn_ancestors`: the
    withdrawn versions that it was made from, in words.
    """

    model_id: str
    model: str
    alias: str
    number: int
    semver: str
    stage: str
    artifact_digest: str
    artifact_state: str | None
    withdrawn: str | None
    withdrawn_ancestors: list[str]
    retired: bool


class RetireReason(TypedDict):
    """Why. An environment that is in use is not retired."""

    reason: str


class Rollback(TypedDict):
    """Without `to_number` a rollback ends a split, or goes to what served before.

    `even_if_incompatible` accepts a target whose schema breaks today's callers. `from_number`: the
    champion that you saw. `dry_run`: return the rollout as it would be, and change nothing.
    """

    reason: str
    to_number: NotRequired[int | None]
    from_number: NotRequired[int | None]
    even_if_incompatible: NotRequired[bool]
    dry_run: NotRequired[bool]


class RolloutAnswer(TypedDict):
    """Which versions serve; `champion` 0 and no `entries` when the rollout is stopped.

    `previous`: the entries before the last change. `skipped`: what the rollback that led here skipped;
    `warning`: what is doubtful about its target. `revision` is the ETag. With `dry_run` nothing was
    changed: `revision` is that of the present rollout.
    """

    model_id: str
    model: str
    environment: str
    production: bool
    champion: int
    entries: list[EntryAnswer]
    previous: list[PreviousEntry]
    rolled_back_from: int | None
    skipped: list[SkippedAnswer] | None
    warning: str
    changed_at: str
    changed_by: str
    reason: str
    revision: int
    dry_run: NotRequired[bool]


class Rollouts(TypedDict):
    items: list[RolloutAnswer]


class RouteAnswer(TypedDict):
    """`conditions`: those under which the version was approved."""

    model_id: str
    model: str
    environment: str
    number: int
    semver: str
    conditions: list[str]
    role: Literal["champion", "challenger", "shadow", "standby"]


class Search(TypedDict):
    """All conditions must hold. `namespace`: this one and those below it.

    `prompts`: only models with the tag `mlflow.prompt.is_prompt`, which are left out otherwise.
    """

    conditions: NotRequired[list[Condition]]
    order: NotRequired[list[Order]]
    namespace: NotRequired[str]
    prompts: NotRequired[bool]
    offset: NotRequired[int]
    limit: NotRequired[int]


class ServedAnswer(TypedDict):
    """An environment where a version got requests, since and until when. `until` is null while it does."""

    environment: str
    since: str
    until: str | None


class ServiceKey(TypedDict):
    """A public key as a JSON Web Key (RFC 8037), with its owner and the time in which it is valid.

    An event is valid when its `recordedtime` is in that time. Nothing that a compromised key signed is.
    """

    kid: str
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    use: Literal["sig"]
    subject: str
    public_key: str
    valid_from: str
    valid_until: str | None
    compromised: bool


class ServiceKeys(TypedDict):
    keys: list[ServiceKey]


class Serving(TypedDict):
    """The rollouts of all models that the caller may read, by model and environment."""

    items: list[RolloutAnswer]
    next_page_token: str


class SignInAnswer(TypedDict):
    """Who signed in, with which roles, until when the token is valid. `name` is empty where none is known."""

    subject: str
    name: str
    roles: list[HeldRole]
    until: str


class SignInOption(TypedDict):
    """An issuer at which people sign in, and what a client begins with."""

    issuer: str
    client_id: str
    scopes: list[str]


class SignInOptions(TypedDict):
    issuers: list[SignInOption]


class Signature(TypedDict):
    """`inputs_by`, `outputs_by`: how callers address the inputs and the outputs; without it, either way.

    `columns`: by the name of an input that is an array, the names along its last dimension.
    """

    inputs: NotRequired[list[Input]]
    outputs: NotRequired[list[Output]]
    inputs_by: NotRequired[Literal["name", "position"] | None]
    outputs_by: NotRequired[Literal["name", "position"] | None]
    columns: NotRequired[dict[str, list[str]] | None]


class SkippedAnswer(TypedDict):
    number: int
    why: str


class Stop(TypedDict):
    """Take every version out of the rollout. `from_number`: the champion that you saw."""

    reason: str
    from_number: NotRequired[int | None]


class TrainedVersion(TypedDict):
    """A version that a data set went into. `use`: it was trained or evaluated on it, or a parent was
    trained.

    `generation` is 0 for a version that used the data itself.
    """

    model_id: str
    model: str
    number: int
    semver: str | None
    stage: Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"] | None
    relation: Literal["base_model", "embedding", "preprocessing"] | None
    digest: str
    generation: int
    dataset_name: str | None
    dataset_digest: str | None
    registered_at: str | None
    withdrawn: str | None
    retired: bool
    rollouts: list[VersionRolloutAnswer]
    served: list[ServedAnswer]
    use: Literal["training", "evaluation", "parent"]


class TrainedVersions(TypedDict):
    """A page of versions that used a data set, and after them all that was made from those trained on it.

    A version may be on several pages. `truncated`: more was made from them than is shown.
    """

    items: list[TrainedVersion]
    truncated: bool
    next_page_token: str


class Training(TypedDict):
    config: NotRequired[dict[str, Any] | None]
    code: NotRequired[Code | None]
    dataset: NotRequired[Dataset | None]
    features: NotRequired[list[str] | None]
    framework: NotRequired[Framework | None]
    environment: NotRequired[dict[str, Any] | None]
    metrics: NotRequired[list[Metric]]
    trained_at: NotRequired[str | None]
    creator: NotRequired[str | None]
    on_behalf_of: NotRequired[str | None]
    run_url: NotRequired[str | None]
    seed: NotRequired[int | None]


class TrustAnswer(TypedDict):
    """A trust. `live_keys`: API keys and signing keys of jobs that have not ended."""

    trust_id: str
    issuer: str
    audience: str
    algorithms: list[str]
    claims: list[ClaimOfJob]
    publisher: str
    namespaces: list[str]
    starter_claim: str
    added_by: str
    live_keys: int


class Trusts(TypedDict):
    items: list[TrustAnswer]


class UsedKey(TypedDict):
    """The key of a request."""

    key_id: str
    algorithm: str
    expires_at: str | None


class UsedSignIn(TypedDict):
    """The sign-in of a request: the issuer of the token, and until when the token is valid."""

    issuer: str
    until: str


class VersionAnswer(TypedDict):
    """One version.

    `semver` is empty for a draft, which lacks `missing`; `reasons`: why it was rejected. `notes`: what
    people and pipelines noted about it. `registration_notes`: what its sender should know, such as a
    part of the model's description that was not taken. `training` has the corrected values;
    `corrections` has the newest changes of description, tags and metadata, with what stood before.
    `withdrawn_ancestors`: the withdrawn versions that it was made from, at any distance, in words; null
    as of a moment, because that is not known then. `external`: where a draft of a client of MLflow came
    from. `imported_from`: what another registry states about it; no rule here decides on that.
    `revision` is its ETag.
    """

    model_id: str
    model: str
    kind: Literal["model", "adapter", "embedding", "preprocessing", "prompt"]
    number: int
    semver: str
    stage: Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]
    artifact: Artifact | None
    training: Training
    schema: Signature | None
    parents: list[ParentAnswer]
    external: External | None
    imported_from: ImportedFrom | None
    bump: BumpAnswer | None
    missing: list[str] | None
    description: str
    tags: dict[str, str]
    notes: list[NoteAnswer]
    corrections: list[CorrectionAnswer]
    registration_notes: list[str]
    creator: str | None
    registered_at: str
    registered_by: str
    correlation_id: str
    artifact_digest: str | None
    artifact_state: str | None
    artifact_uri: str | None
    artifact_detail: str | None
    gates: GatesAnswer | None
    reasons: list[str] | None
    promoted: PromotedAnswer | None
    legal_hold: str | None
    withdrawn: str | None
    withdrawn_ancestors: list[str] | None
    withdrawal_proposed: ProposedWithdrawal | None
    withdrawal_id: str | None
    retired: dict[str, Any] | None
    evaluations: list[EvaluationAnswer]
    aliases: list[str]
    rollouts: list[VersionRolloutAnswer]
    promotions: list[VersionPromotionAnswer]
    revision: int


class VersionClaim(TypedDict):
    """A semantic version (`1.2.0`) or a level.

    `exact`: refuse the registration rather than raise a claim that is too small.
    """

    claim: str
    exact: NotRequired[bool]


class VersionCorrection(TypedDict):
    """Corrections of metadata that no decision is bound to.

    `fields`: new values by path: `training.run_url`, `training.code.repository`,
    `training.framework.name`, `training.framework.version`; null removes one. Description and tags are
    as in `:describe`.
    """

    reason: str
    fields: NotRequired[dict[str, str | None]]
    description: NotRequired[str | None]
    set_tags: NotRequired[dict[str, str]]
    remove_tags: NotRequired[list[str]]


class VersionDescription(TypedDict):
    """What is given changes. `description` "" removes it; `set_tags` adds tags or changes their values."""

    reason: NotRequired[str]
    description: NotRequired[str | None]
    set_tags: NotRequired[dict[str, str]]
    remove_tags: NotRequired[list[str]]


class VersionFacts(TypedDict):
    """The metadata of a version. A draft may lack any of it.

    `base`: what the version is compared with: a number, a semantic version, an environment or an alias.
    `external`: where the bytes of a draft are. Every registration of a draft that has it is a new
    draft.
    """

    draft: NotRequired[bool]
    version: NotRequired[VersionClaim | None]
    base: NotRequired[int | str | None]
    artifact: NotRequired[Artifact | None]
    training: NotRequired[Training | None]
    signature: NotRequired[Signature | None]
    parents: NotRequired[list[Parent] | None]
    external: NotRequired[External | None]


class VersionLine(TypedDict):
    """A version in a list, without its documents.

    `dataset_name` and `dataset_digest` are those of its training data. `primary_metric`: null where no
    metric is marked primary and there are several.
    """

    model_id: str
    model: str
    number: int
    semver: str | None
    stage: Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]
    artifact_digest: str | None
    artifact_state: str | None
    description: str | None
    tags: dict[str, str] | None
    creator: str | None
    registered_at: str
    registered_by: str
    correlation_id: str
    gates_passed: bool | None
    missing: list[str] | None
    reasons: list[str] | None
    bump_level: Literal["patch", "minor", "major"] | None
    bump_rule: str | None
    legal_hold: str | None
    withdrawn: str | None
    withdrawal_proposed: ProposedWithdrawal | None
    retired: dict[str, Any] | None
    dataset_name: str | None
    dataset_digest: str | None
    imported_from: ImportName | None
    primary_metric: PrimaryMetric | None
    revision: int


class VersionName(TypedDict):
    number: int
    semver: str | None


class VersionPromotionAnswer(TypedDict):
    """`withdrawn`: the override that granted it was not justified. `conditions`: those of all approvals."""

    promotion_id: str
    environment: str
    state: Literal["open", "promoted", "spent", "withdrawn", "refused"]
    requester: str
    requested_at: str
    reason: str
    reasons: list[str] | None
    approvers: list[str] | None
    conditions: list[str] | None
    serve: bool
    production: bool
    closed_at: str | None


class VersionRolloutAnswer(TypedDict):
    environment: str
    percent: int
    role: Literal["champion", "challenger", "shadow", "standby"]


class Versions(TypedDict):
    items: list[VersionLine]
    next_page_token: str


class WithdrawTrained(TypedDict):
    """Withdraw every version that was trained on a data set. `trained_on`: its name or digest."""

    reason: str
    plan: NotRequired[str | None]
    dry_run: NotRequired[bool]
    trained_on: str


class WithdrawalAnswer(TypedDict):
    """What the step did, or with `dry_run` would do. `plan` is the digest of the versions that it changes."""

    withdrawal_id: str
    plan: str
    dry_run: bool
    versions: list[WithdrawnVersion]


class WithdrawnVersion(TypedDict):
    """A version and where it serves now.

    `proposed`: its policy wants a second person, who repeats the step. `unchanged`: it was in that
    state before. `refused`: `detail` states why.
    """

    model_id: str
    model: str
    number: int
    semver: str | None
    stage: Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]
    rollouts: list[VersionRolloutAnswer]
    outcome: Literal["withdrawn", "proposed", "reinstated", "unchanged", "refused"]
    detail: str
