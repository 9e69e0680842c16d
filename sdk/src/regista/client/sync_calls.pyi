"""The calls of `Client`. For editors and type checkers.

`python -m tools.contracts` writes this file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, overload

from regista.calls.access import RotatedKey
from regista.calls.audit import HistoryState
from regista.calls.dead_letters import OfServices
from regista.calls.waiting import Goal
from regista.choices import IdentityKind, Kind, MlflowMode, Stage, Tier, Via
from regista.client.async_client import AsyncClient
from regista.client.publication import Publication
from regista.following.event import Event
from regista.loading.loaded import Loaded
from regista.progress import Progress
from regista.publishing.tracking import Run
from regista.shapes import registry
from regista.shapes.approval import (
    AdoptionBody,
    GatesAnswer,
    PolicyAnswer,
    PolicyBody,
    PolicyPreview,
    PromotionAnswer,
    ReviewAnswer,
    ReviewListed,
)
from regista.shapes.audit import (
    Act,
    AsOf,
    Consistency,
    Decision,
    FullRun,
    HistoryFile,
    HistoryPlanned,
    IdentityRights,
    Inclusion,
    InService,
    Invariants,
    IssuerThen,
    LogCheckpoints,
    PolicyInForce,
    TimelineEvent,
)
from regista.shapes.audit import Event as StoredEvent
from regista.shapes.cleanup import (
    CleanupRun,
    CleanupRunAccepted,
    CleanupRunShown,
    Default,
    DefaultChanged,
    PolicyInput,
    Retention,
    RetentionChanged,
    Simulation,
    Usage,
)
from regista.shapes.every_service import DeadLetter, DeadLetterDetail, DeadLetterGroup, Dismissed, Replayed
from regista.shapes.mirror import CheckAccepted, MirroredVersion, TargetAnswer, TargetRemoved
from regista.shapes.registry import (
    AliasAnswer,
    Artifact,
    Caller,
    ComparisonAnswer,
    DiffAnswer,
    EnvironmentAnswer,
    ErasureAnswer,
    IdentityAnswer,
    IssuerAnswer,
    KeyAnswer,
    LineageAnswer,
    Link,
    ModeAnswer,
    ModelAnswer,
    Models,
    NewEntry,
    NewEvaluation,
    NoteAnswer,
    NoteWithEarlier,
    Parent,
    RefusalAnswer,
    Resolved,
    RolloutAnswer,
    RouteAnswer,
    ServiceKey,
    Signature,
    SignInAnswer,
    SignInOption,
    TrainedVersion,
    Training,
    TrustAnswer,
    VersionAnswer,
    VersionFacts,
    VersionLine,
    WithdrawalAnswer,
)

class SyncCalls:
    asynchronous: AsyncClient

    def models(
        self,
        limit: int | None = None,
        *,
        kind: Kind | None = None,
        owner: str | None = None,
        tier: Tier | None = None,
        search: str | None = None,
        tags: Iterable[str] | Mapping[str, str] = (),
    ) -> list[ModelAnswer]:
        """Return the models that the caller may read, by name, at most `limit`.

        `search` is a part of the name; `owner` is a subject, for example `team:risk`; `tags` are names with
        their values, or a list of `NAME=VALUE` and `NAME` (any value), all of which a model must have.
        """
    def models_at(self, at_time: str, limit: int | None = None) -> Models:
        """Return the models that there were at a time, or at the end of a day, as they were; at most `limit`.

        `too_long` names those with too many events to show what they were.
        """
    def model(self, model: str, at_time: str | None = None) -> ModelAnswer:
        """Return one model, by name or id, with its `revision`; with a time, or a day, as it was then."""
    def create_model(
        self,
        name: str,
        *,
        kind: Kind | None = None,
        description: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str] | None = None,
        tier: Tier | None = None,
    ) -> ModelAnswer:
        """Create a model without versions, and return it. `publish` creates a missing model, too."""
    def edit_model(
        self,
        model: str,
        *,
        name: str | None = None,
        description: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        tier: Tier | None = None,
        expected: int | None = None,
    ) -> ModelAnswer:
        """Change a model and return it; None leaves a field as it is, and an empty `description` clears it.

        `tags` adds tags or changes their values, and removes those whose value is None; other tags stay.

        `expected` is the `revision` of the model that you read: the call raises Stale if the model changed
        since. Without it the last writer wins.
        """
    def aliases(self, model: str) -> list[AliasAnswer]:
        """Return the aliases of a model."""
    def set_alias(self, model: str, alias: str, number: int, *, protected: bool | None = None) -> AliasAnswer:
        """Point an alias at a version. Only admins move or remove a `protected` alias."""
    def remove_alias(self, model: str, alias: str) -> None:
        """Remove an alias."""
    def identities(self, limit: int | None = None) -> list[IdentityAnswer]:
        """Return people, publishers and services with their roles and keys, at most `limit`."""
    def identity(self, subject: str) -> IdentityAnswer:
        """Return one identity with its roles and keys. Each caller may read their own."""
    def whoami(self) -> Caller:
        """Return who sends this request: subject, name, roles, and the key with its expiry."""
    def sign_in(self) -> SignInAnswer:
        """Let the registry record the person and the groups of the token that this request carries.

        The client does this by itself when a service needs it. The answer has the roles, and until when the
        token is valid.
        """
    def disable_identity(self, subject: str, reason: str) -> IdentityAnswer:
        """Take all effect from an identity's keys and roles, until it is enabled again."""
    def enable_identity(self, subject: str, reason: str) -> IdentityAnswer:
        """Let a disabled identity act again, with the keys and roles that it has."""
    def add_member(self, group: str, member: str, reason: str = "") -> IdentityAnswer:
        """Add a person or publisher to a group: it gets every role of the group."""
    def remove_member(self, group: str, member: str, reason: str = "") -> None:
        """Remove a member of a group: it loses the roles of the group."""
    def service_keys(self) -> list[ServiceKey]:
        """Return the public keys of the services as JSON Web Keys, with the times in which they are valid."""
    def subject_of(self, person: str) -> str:
        """Return the subject of the one identity with this subject or name.

        Without a match, or when the caller may not list identities, it is `person` as given. Raises Invalid
        when several identities have the name.
        """
    def create_identity(
        self, subject: str | None, kind: IdentityKind, name: str = "", reason: str = ""
    ) -> IdentityAnswer:
        """Create an identity. It can do nothing before it has a key and a role.

        Without `subject` the registry makes a random one that identifies no person. `kind`: person,
        publisher, service or group.
        """
    def set_name(self, subject: str, name: str) -> IdentityAnswer:
        """Set or correct a name. Earlier signatures keep the name printed on them."""
    def erase_name(self, subject: str, reason: str) -> ErasureAnswer:
        """Erase a name; the answer lists where it is kept.

        The reason stays in the log permanently: write it without the name.
        """
    def names(self, subjects: Iterable[str]) -> dict[str, str | None]:
        """Return the names of subjects: None for an erased name, no entry for a subject without a name."""
    def issue_key(
        self,
        subject: str,
        *,
        key_id: str | None = None,
        public_key: str | None = None,
        expires_at: str | None = None,
        never_expires: bool = False,
        without_groups: bool = False,
        reason: str = "",
    ) -> KeyAnswer:
        """Issue an API key, or register a signing key.

        The answer has the API key; no later answer shows it. With `public_key` (hex) and `key_id` the call
        registers a signing key made elsewhere. `expires_at`: RFC 3339; without it the registry's default
        (a year) counts, unless an admin sends `never_expires`. Each identity may issue itself a key, so that
        it can rotate its own. An API key that you issue yourself with a sign-in has the roles of your groups
        and ends after 24 hours; `without_groups` makes one with the roles granted to you only. Raises
        RegistaError with the code `key_not_shown` when the answer with the API key was lost.
        """
    def rotate_key(
        self,
        subject: str,
        old_key_id: str,
        *,
        key_id: str | None = None,
        public_key: str | None = None,
        expires_at: str | None = None,
    ) -> RotatedKey:
        """Issue a new key as `issue_key` does, then revoke the old one.

        The old key is revoked only after the new one has arrived, so a lost answer leaves a valid key.
        `old_revoked` in the answer is False when the outcome of the revocation is unknown: then the new key
        is valid, and the identity lists whether the old one still is.
        """
    def revoke_key(self, subject: str, key_id: str, reason: str = "", *, compromised: bool = False) -> None:
        """Revoke a key. With `compromised`, earlier signatures of a service with it become invalid, too."""
    def links(self, limit: int | None = None) -> list[Link]:
        """Return which identities and logins count as one person, since when and why, at most `limit`."""
    def link_identity(
        self, subject: str, other: str = "", *, reason: str, login: bool = False, proof: str = ""
    ) -> IdentityAnswer:
        """Count two identities of one human being as one person, from now on.

        With `login`, `other` is a name under which the person starts jobs. An admin links; or the person, by
        `proof`: an API key or access token of the other identity, which then needs no name.
        """
    def unlink_identity(self, subject: str, other: str, reason: str, *, login: bool = False) -> None:
        """Count two identities as two people from now on. What was decided before stays as it is."""
    def grant(self, subject: str, role: str, namespace: str, reason: str = "") -> IdentityAnswer:
        """Grant a role in a namespace and those below it (`*`: everywhere)."""
    def revoke_role(self, subject: str, role: str, namespace: str, reason: str = "") -> None:
        """Revoke a role in a namespace."""
    def events(
        self,
        *,
        since: datetime | str | None = None,
        model: str | None = None,
        namespace: str | None = None,
        types: Sequence[str] | str = (),
        bookmark: str | Path | None = None,
        follow: bool = True,
        via: str = "",
    ) -> Iterator[Event]:
        """Yield the public events that you may read: of a model, a namespace, some types, or all.

        They begin at the present, at `since` (a time, a day in UTC, or the `cursor` of an event: behind it),
        or where the file `bookmark` ended, if it exists. Without `follow` they end at the present. Events of
        one stream come in order, each at least once; after an interruption the connection is opened again
        where it ended. The bookmark moves behind an event when the next one is asked for, so an event whose
        handling failed comes again.

        `via`: "http", or "kafka" with the Kafka user of a reader, which shows the events of all namespaces;
        by default Kafka where it is configured without a signing key. Raises RegistaError.
        """
    def versions(
        self,
        model: str | None = None,
        limit: int | None = None,
        *,
        stage: Stage | None = None,
        tags: Iterable[str] | Mapping[str, str] = (),
        metrics: Iterable[str] = (),
        created_by: str | None = None,
        dataset: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
        artifact_digest: str | None = None,
        correlation_id: str | None = None,
    ) -> list[VersionLine]:
        """Return the versions of a model, or of all readable models, newest first, at most `limit`.

        All that is given must hold. `tags`: names with their values, or a list of `NAME=VALUE` and `NAME`
        (any value). `metrics`: conditions such as `auc>0.9`. `dataset`: name or digest of the training data.
        `since`, `until`: times in RFC 3339, or days in UTC, that day included.
        """
    def trained_on(self, dataset: str, limit: int | None = None) -> list[TrainedVersion]:
        """Return the versions of all readable models that a data set went into, and where each serves.

        `dataset` is its name or digest. `use` is `training`, `evaluation`, or `parent` for a version that was
        made from one trained on the data, `generation` steps before.
        """
    def lineage(self, reference: str, at_time: str | None = None) -> LineageAnswer:
        """Return what a version was made from (`ancestors`) and what was made from it (`descendants`).

        With a time, or a day, as it was then. `reference` is also the URL of a parent that is not in the
        registry, as the versions named it: of such a parent only the present is known.
        """
    def version(self, reference: str, at_time: str | None = None) -> VersionAnswer:
        """Return one version with its `revision`; with a time, or a day, as it was then."""
    def complete(
        self,
        reference: str,
        metadata: VersionFacts | Mapping[str, Any] | None = None,
        *,
        training: Training | Mapping[str, Any] | None = None,
        schema: Signature | Mapping[str, Any] | None = None,
        artifact: Artifact | Mapping[str, Any] | None = None,
        parents: Sequence[Parent | Mapping[str, Any]] | None = None,
        compare_with: int | str | None = None,
        expected: int | None = None,
    ) -> VersionAnswer:
        """Add to a draft what it lacks, and return the version.

        `metadata` has the other arguments in one object, as in ModelTrained; an argument counts more.
        `metadata` may call `schema` and `compare_with` as ModelTrained does: `signature` and `base`.
        `training` is what `run.training()` returns, `artifact` what `upload` returns.

        `expected` is the `revision` of the version that you read: the call raises Stale if the version
        changed since. Without it the last writer wins.
        """
    def diff(self, model: str, old: str, new: str) -> DiffAnswer:
        """Return how two versions of a model differ: schema, code, config, data, metrics."""
    def evaluate(
        self,
        reference: str,
        evaluation: NewEvaluation | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        value: float | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        definition: str | None = None,
        higher_is_better: bool | None = None,
        primary: bool | None = None,
        independent: bool | None = None,
    ) -> VersionAnswer:
        """Record a metric measured on a data set, and return the version.

        `name`, `value` and `dataset_digest` are needed. `evaluation` has the other arguments in one object;
        an argument counts more. `definition`: only metrics with equal definitions are compared.
        `higher_is_better` is true unless stated. `primary`: the metric decides about the size of a version
        bump. `independent`: it was not measured by those who made the version. Raises Invalid for a value
        that is no finite number.
        """
    def refusals(
        self, limit: int | None = None, *, model: str | None = None, correlation_id: str | None = None
    ) -> list[RefusalAnswer]:
        """Return refused registrations with their reasons, newest first, at most `limit`."""
    def reject_version(self, reference: str, reason: str) -> VersionAnswer:
        """Reject a version permanently: it never reaches Production."""
    def withdraw(self, reference: str, reason: str) -> VersionAnswer:
        """Withdraw a version: from now on no client loads it. Its traffic stays as it is."""
    def withdraw_trained(
        self, dataset: str, reason: str, *, plan: str | None = None, dry_run: bool = False
    ) -> WithdrawalAnswer:
        """Withdraw every version that was trained on a data set (name or digest), of all models, in one step.

        With `dry_run` nothing changes: the answer has what would be withdrawn, where it serves, and the
        `plan`. The step needs that plan; it raises Stale when other versions would be withdrawn by now. Where
        a policy wants a second person, the first one only proposes; the second one repeats the step. The
        answer's `withdrawal_id` names the step for `reinstate_withdrawal`.
        """
    def reinstate_withdrawal(
        self, withdrawal_id: str, reason: str, *, plan: str | None = None, dry_run: bool = False
    ) -> WithdrawalAnswer:
        """Undo a step of `withdraw_trained` that was a mistake. Only a second person may.

        `plan` and `dry_run` are as in `withdraw_trained`.
        """
    def reinstate(self, reference: str, reason: str) -> VersionAnswer:
        """Undo a withdrawal that was a mistake. Only a person who did not withdraw the version may."""
    def reopen(self, reference: str, reason: str) -> VersionAnswer:
        """Move an archived version back to Staging: when its gates pass again, it may be used again."""
    def retire_version(self, reference: str, reason: str) -> VersionAnswer:
        """Retire a version that nothing needs: its tombstone stays. Raises RuleBroken with what needs it."""
    def place_legal_hold(self, reference: str, reason: str) -> VersionAnswer:
        """Place a legal hold: cleanup does not retire the version."""
    def release_legal_hold(self, reference: str, reason: str) -> VersionAnswer:
        """Release the legal hold."""
    def recall(self, reference: str, reason: str) -> VersionAnswer:
        """Call `withdraw`: this is its former name."""
    def recall_trained(
        self, dataset: str, reason: str, *, plan: str | None = None, dry_run: bool = False
    ) -> WithdrawalAnswer:
        """Call `withdraw_trained`: this is its former name."""
    def hold(self, reference: str, reason: str) -> VersionAnswer:
        """Call `place_legal_hold`: this is its former name."""
    def release_hold(self, reference: str, reason: str) -> VersionAnswer:
        """Call `release_legal_hold`: this is its former name."""
    def promote(
        self, reference: str, environment: str = "production", reason: str = "", *, serve: bool = False
    ) -> registry.PromotionAnswer:
        """Request the promotion of a version; the answer has its `promotion_id`. Reviews may follow.

        A grant switches no requests. With `serve` it gives the version all requests; the service refuses that
        where a version serves already.
        """
    def promotion(self, promotion_id: str) -> PromotionAnswer:
        """Return a promotion: open, granted (and not carried out yet), promoted, spent or refused, and why.

        Raises NotFound until the service approval has received the request.
        """
    def override(
        self, promotion_id: str, reason: str, *, adopts: AdoptionBody | None = None
    ) -> PromotionAnswer:
        """Grant a promotion past its gates (break-glass override). It opens a mandatory after-review.

        `adopts`: what serves in another registry and is taken over by it. That needs the role admin, too.
        """
    def gates(self, model: str, number: int) -> GatesAnswer:
        """Return the result of each gate for a version, and what the gates still wait for."""
    def evaluate_gates(self, model: str, number: int) -> GatesAnswer:
        """Evaluate the gates of a version again, and return their results."""
    def reviews(
        self,
        state: str | None = "open",
        model: str | None = None,
        limit: int | None = None,
        *,
        mine: bool = False,
        id_prefix: str | None = None,
    ) -> list[ReviewListed]:
        """Return the reviews in a state, or with None all, at most `limit`.

        `mine`: only those that you may decide. `id_prefix`: only those whose id begins so.
        """
    def review(self, review_id: str) -> ReviewAnswer:
        """Return one review with its evidence and its `revision`."""
    def approve(
        self,
        review_id: str,
        comment: str = "",
        conditions: Sequence[str] = (),
        *,
        revision: int,
        accepts: Sequence[str] = (),
    ) -> ReviewAnswer:
        """Approve what the review showed at `revision`. Raises Stale if the review changed since.

        `accepts`: the gates whose result each approver must accept by name (`summary.accept` of the review).
        """
    def reject(self, review_id: str, reason: str, *, revision: int) -> ReviewAnswer:
        """Reject what the review showed at `revision`. Raises Stale if the review changed since."""
    def comment(self, review_id: str, comment: str) -> ReviewAnswer:
        """Comment on a review without a decision."""
    def review_override(self, review_id: str, *, justified: bool, comment: str = "") -> ReviewAnswer:
        """Close the after-review of a break-glass override: the override was justified, or not."""
    def policies(self) -> list[PolicyAnswer]:
        """Return the policies in force."""
    def policy(self, name: str) -> PolicyAnswer:
        """Return one policy with its `revision`."""
    def publish_policy(
        self,
        name: str,
        policy: PolicyBody | Mapping[str, Any],
        *,
        expected: int | None = None,
        reason: str = "",
    ) -> PolicyAnswer:
        """Publish a revision of a policy, and return the policy.

        A revision by which the policies require less is only proposed where there is a second admin: the
        answer then has a `proposal`, which `confirm_policy` publishes.

        `expected` is the `revision` of the policy that you read, 0 for a new policy: the call raises Stale if
        the policy changed since. Without it the last writer wins.
        """
    def preview_policy(self, name: str, policy: PolicyBody | Mapping[str, Any]) -> PolicyPreview:
        """Return what publishing the policy would change: models, open reviews, and how it requires less."""
    def confirm_policy(self, name: str, revision: int, reason: str = "") -> PolicyAnswer:
        """Publish the proposal of this revision, which another admin made."""
    def wait_for(self, reference: str, until: Goal = "validated", seconds: float = 60.0) -> VersionAnswer:
        """Return the version once it is Validated (or in Production), or in Production.

        Raises RuleBroken when it cannot get there: `gates_failed` with every gate that failed, a version that
        is rejected, withdrawn, retired, archived or a draft, a promotion that was refused. Raises TimedOut
        with what it waits for.
        """
    def wait_for_promotion(self, promotion_id: str, seconds: float = 60.0) -> PromotionAnswer:
        """Return the promotion once the registry carried its grant out.

        Raises RuleBroken with the reasons when it was refused, and TimedOut with what it waits for.
        """
    def compare(self, *references: str) -> ComparisonAnswer:
        """Return two to ten versions, also of different models, beside each other.

        `rows` have one value for each of `versions`: metrics on the same data, configuration values that
        differ, data, training, schema, size in bytes.
        """
    def describe(
        self,
        reference: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        remove_tags: Iterable[str] = (),
        reason: str = "",
        expected: int | None = None,
    ) -> VersionAnswer:
        """Change description and tags of a version, and return it; what is not given stays.

        `tags` are added, or get another value; `description` "" removes it. `expected` is as in `complete`.
        A publisher may describe own versions only.
        """
    def correct(
        self,
        reference: str,
        fields: Mapping[str, str | None] | None = None,
        *,
        reason: str,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        remove_tags: Iterable[str] = (),
        expected: int | None = None,
    ) -> VersionAnswer:
        """Correct metadata that no decision is bound to, and return the version.

        `fields`: new values by path: `training.run_url`, `training.code.repository`,
        `training.framework.name`, `training.framework.version`; None removes one. What stood before stays in
        the log and in the version's `corrections`. Open promotions of the version end when a field changes,
        because their approvers saw it. Raises RegistaError for other fields, with what to do instead.
        """
    def notes(self, reference: str, limit: int | None = None) -> list[NoteWithEarlier]:
        """Return the notes of a version, the oldest first, each with its `earlier` texts."""
    def add_note(self, reference: str, text: str) -> NoteAnswer:
        """Add a note to a version, and return it. Its author and time are kept."""
    def correct_note(self, reference: str, note: int, text: str, *, reason: str = "") -> NoteAnswer:
        """Replace the text of an own note, and return it; the text before stays in `earlier`."""
    def rollout(self, model: str, environment: str = "production") -> RolloutAnswer:
        """Return which versions serve in an environment, with the rollout's `revision`."""
    def change_rollout(
        self,
        model: str,
        entries: Sequence[NewEntry | Mapping[str, Any]],
        environment: str = "production",
        reason: str = "",
        *,
        expected: int | None = None,
        from_number: int | None = None,
    ) -> RolloutAnswer:
        """Replace the rollout in one step, and return it.

        `entries` are objects {number, percent, role}; the percents sum to 100. `expected` is the `revision`
        of the rollout that you read, 0 where no version ever served, and `from_number` the champion that you
        saw, 0 for none: the call raises Stale if the rollout changed since. Without both the last writer
        wins.
        """
    def rollback(
        self,
        model: str,
        reason: str,
        environment: str = "production",
        *,
        to_number: int | None = None,
        even_if_incompatible: bool = False,
        expected: int | None = None,
        from_number: int | None = None,
        dry_run: bool = False,
    ) -> RolloutAnswer:
        """Roll back, and return the rollout.

        While several versions serve, the champion gets all requests. When one serves alone, the rollback goes
        to what served before it, or to `to_number`, which was champion there before. A version with a
        schema that does not serve today's callers needs `even_if_incompatible`. `expected` is the
        `revision` of the rollout that you read, `from_number` the champion that you saw: the call raises
        Stale if the rollout changed since. Without both the last writer wins. With `dry_run` the call returns
        the rollout as it would be, and changes nothing.
        """
    def stop_rollout(
        self,
        model: str,
        reason: str,
        environment: str = "production",
        *,
        expected: int | None = None,
        from_number: int | None = None,
    ) -> RolloutAnswer:
        """Stop the rollout, and return it: no version serves any more, and clients get `rollout_stopped`.

        `expected` and `from_number` are as in `rollback`.
        """
    def resolve(self, model: str, alias: str = "production") -> Resolved:
        """Return the version that an alias names, or the champion of an environment."""
    def route(
        self, model: str, environment: str = "production", key: str = "", *, max_age: float = 5.0
    ) -> RouteAnswer:
        """Return the version that serves a request, with its role and the conditions of its approvals.

        The choice is made here, from a rollout that is at most `max_age` seconds old, by the same hash as in
        the service (docs/routing.md): the same `key` gets the same version while the shares stay. Without a
        key each call draws again. Raises RuleBroken with the code `version_withdrawn` when the version must
        not be loaded, and `rollout_stopped` when no version serves.
        """
    def environments(
        self, limit: int | None = None, *, namespace: str | None = None, retired: bool = False
    ) -> list[EnvironmentAnswer]:
        """Return the environments, by namespace and order, at most `limit`.

        `namespace`: only what models of it may use. `retired`: retired ones, too.
        """
    def environment(self, name: str) -> EnvironmentAnswer:
        """Return one environment with its `revision`."""
    def create_environment(
        self, name: str, *, production: bool, order: int = 50, description: str = ""
    ) -> EnvironmentAnswer:
        """Declare an environment. Whether it is `production` never changes. An admin of its namespace may."""
    def edit_environment(
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
    def retire_environment(self, name: str, reason: str) -> EnvironmentAnswer:
        """Retire an environment. The service refuses that while a model uses it."""
    def mlflow_mode(self, namespace: str) -> ModeAnswer:
        """Return the mode that holds for MLflow's clients in a namespace (`*`: where none was chosen)."""
    def set_mlflow_mode(self, namespace: str, mode: MlflowMode, reason: str) -> ModeAnswer:
        """Choose the mode of a namespace and of those below it. Its admin may.

        `governed`: stages and aliases of MLflow's clients are Regista's. `labels`: they are free and decide
        nothing.
        """
    def serving(
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
    def timeline(
        self,
        model: str,
        limit: int | None = None,
        number: int | None = None,
        *,
        newest: bool = False,
        notes: bool = True,
        since: str | None = None,
        until: str | None = None,
    ) -> list[TimelineEvent]:
        """Return the events of a model, or of one version: when, who, what, why, and their causes.

        They come in the log's order, or the `newest` first. `notes`: with the copies of other services'
        events (type Noted). `since`, `until`: RFC 3339, or days in UTC.
        """
    def as_of(self, model: str, at_time: str | None = None, environment: str = "production") -> AsOf:
        """Return what was in production at a time (RFC 3339, or the end of a day in UTC), or is now."""
    def stored_events(
        self, stream: str | None = None, limit: int | None = None, *, correlation_id: str | None = None
    ) -> list[StoredEvent]:
        """Return the stored events of a stream, or of one correlation id."""
    def attempts(
        self,
        limit: int | None = None,
        *,
        subject: str | None = None,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[StoredEvent]:
        """Return who tried what a rule denied, the newest first. `since`, `until`: RFC 3339, or a day (UTC).

        Each event counts the attempts of one subject against one rule in an hour.
        """
    def log_checkpoints(self, limit: int = 20) -> LogCheckpoints:
        """Return the newest log checkpoints (signed tree heads), and the key that verifies them."""
    def consistency(self, first: int, size: int) -> Consistency:
        """Return the proof that the tree of `first` leaves is a prefix of that of `size` leaves."""
    def inclusion(self, leaf_index: int, size: int) -> Inclusion:
        """Return the proof that a leaf is in the tree of `size` leaves, and the event's stored bytes."""
    def invariants(self, *, verify: bool = True) -> Invariants:
        """Verify the leaves that are new; return which invariants hold for all verified ones, and violations.

        With `verify=False` the service returns what it has verified already, in the background, and verifies
        nothing for this request.
        Leaves 0 to `verified - 1` of the `sealed` ones were verified, each once since `read_since`.
        `full_run` is the progress of a run that `check_invariants` requested, None when none is under way.
        """
    def check_invariants(self) -> FullRun:
        """Request that the service reads and verifies the whole log again; return the run that is under way.

        The run is finished when `read_since` of `invariants` has reached `requested_at` of this answer.
        """
    def history(self, limit: int | None = None) -> list[HistoryFile]:
        """Return the files of the exported log, in the order of the log."""
    def history_state(self) -> HistoryState:
        """Return where the exported log is, and how many events are sealed, signed, planned, exported."""
    def export_history(self, *, everything: bool = False) -> HistoryPlanned:
        """Request the export of the events sealed so far; with `everything`, also of those that fill no file.

        The export is done when `exported` of `history_state` has reached `planned` of this answer.
        """
    def download_history(self, folder: Path, progress: Progress | None = None) -> int:
        """Copy the exported files that `folder` lacks, and return how many.

        Each file appears complete or not at all, its manifest after it. `regista.exported_history` verifies
        them. `progress` is as in `load`.
        """
    def checkpoints(self, limit: int = 20) -> LogCheckpoints:
        """Call `log_checkpoints`: this is its former name."""
    def promotions(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Return the promotions of a period with who requested and who approved, the newest first."""
    def denials(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Return the promotions that were denied or refused in a period, with reasons, the newest first."""
    def overrides(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Return the break-glass overrides of a period, with what they bypassed, the newest first."""
    def serving_at(
        self, at_time: str | None = None, environment: str | None = None, limit: int | None = None
    ) -> list[InService]:
        """Return what served at a time in all models and environments, with who approved each version."""
    def acts(
        self, subject: str, since: str | None = None, until: str | None = None, limit: int | None = None
    ) -> list[Act]:
        """Return everything that an identity did, or others on its behalf, the newest first."""
    def rights_at(
        self,
        at_time: str | None = None,
        role: str | None = None,
        namespace: str | None = None,
        limit: int | None = None,
    ) -> list[IdentityRights]:
        """Return who held which role, and which keys were live, at a time."""
    def issuers_at(self, at_time: str | None = None) -> list[IssuerThen]:
        """Return which issuers were trusted at a time, and which roles their groups had."""
    def policies_at(
        self, at_time: str | None = None, name: str | None = None, model: str | None = None
    ) -> list[PolicyInForce]:
        """Return the policies in force at a time, or the one behind a model's newest promotion then."""
    @overload
    def clean_up(
        self,
        model: str = "",
        *,
        dry_run: Literal[True],
        policy: PolicyInput | Mapping[str, Any] | None = None,
        namespace: str = "",
    ) -> Simulation:
        """Plan a cleanup of all models or of one.

        With `dry_run` the call returns the plan (under `policy`, if given) and marks no version; `namespace`
        limits the plan to the models below it.
        """
    @overload
    def clean_up(self, model: str = "", *, dry_run: Literal[False]) -> CleanupRunAccepted:
        """Plan a cleanup of all models or of one.

        With `dry_run` the call returns the plan (under `policy`, if given) and marks no version; `namespace`
        limits the plan to the models below it.
        """
    def cleanup_runs(self, limit: int | None = None) -> list[CleanupRun]:
        """Return past cleanups, newest first, at most `limit`."""
    def cleanup_run(self, cleanup_run_id: str, verdict: str = "", page_token: str = "") -> CleanupRunShown:
        """Return one page of a cleanup: each version kept or marked, and why.

        `verdict`: marked, spared, proposed, retired or refused.
        """
    def retention(self, model: str) -> Retention:
        """Return the retention policy of a model with its `revision`, and the standing of each version."""
    def set_retention(
        self,
        model: str,
        policy: PolicyInput | Mapping[str, Any],
        *,
        expected: int | None = None,
        reason: str = "",
    ) -> RetentionChanged:
        """Replace the retention policy of a model.

        `expected` is the `revision` of the policy that you read (0 for the default policy): the call raises
        Stale if the policy changed since. Without it the last writer wins.
        """
    def remove_retention(
        self, model: str, *, expected: int | None = None, reason: str = ""
    ) -> RetentionChanged:
        """Remove the model's own retention policy, so that it inherits one. `expected` as above."""
    def retention_defaults(self) -> list[Default]:
        """Return the policies that models without one of their own inherit, by namespace ("*": all)."""
    def set_default_retention(
        self,
        namespace: str,
        policy: PolicyInput | Mapping[str, Any] | None,
        *,
        expected: int | None = None,
        reason: str = "",
    ) -> DefaultChanged:
        """Set the policy that the models of a namespace inherit ("*": all models); None removes it.

        `expected` is the `revision` that you read (0 where there was none): the call raises Stale if the
        default changed since. Without it the last writer wins.
        """
    def usage(self, model: str) -> Usage:
        """Return how often the versions of a model were used, in all and by day."""
    def sweep(
        self,
        model: str = "",
        *,
        dry_run: bool,
        policy: PolicyInput | Mapping[str, Any] | None = None,
        namespace: str = "",
    ) -> CleanupRunAccepted | Simulation:
        """Call `clean_up`: this is its former name."""
    def sweeps(self, limit: int | None = None) -> list[CleanupRun]:
        """Call `cleanup_runs`: this is its former name."""
    def sweep_plan(self, cleanup_run_id: str, verdict: str = "", page_token: str = "") -> CleanupRunShown:
        """Call `cleanup_run`: this is its former name."""
    def mirrors(self) -> list[TargetAnswer]:
        """Return the targets with the number of versions by standing."""
    def mirror(self, target: str) -> TargetAnswer:
        """Return one target."""
    def mirrored_versions(
        self, target: str, limit: int | None = None, *, status: str | None = None
    ) -> list[MirroredVersion]:
        """Return the versions at a target by model id and number, at most `limit`.

        `status`: only due, mirrored, drifted, waiting, absent or failed ones.
        """
    def set_mirror(
        self, target: str, kind: str, *, namespaces: Sequence[str] = ("*",), from_stage: str = "Validated"
    ) -> TargetAnswer:
        """Mirror the versions of these namespaces ("*": all) from a stage on. An admin of them may.

        `kind`: mlflow, sagemaker or azureml. The address and the credentials are in the target's settings
        file at the service.
        """
    def remove_mirror(self, target: str) -> TargetRemoved:
        """Stop mirroring to a target. What it has stays there."""
    def check_mirror(self, target: str, *, repair: bool = False) -> CheckAccepted:
        """Begin a comparison of a target with the registry; `mirror(target)["check"]` has its progress.

        `repair`: what differs is written again, and what failed is tried again.
        """
    def dead_letters(
        self,
        service: str,
        limit: int = 50,
        topic: str | None = None,
        *,
        replayed: bool | None = None,
        dismissed: bool | None = None,
    ) -> list[DeadLetter]:
        """Return the dead letters of a service, newest first, at most `limit`.

        Replayed and dismissed ones are left out unless they are requested.
        """
    def all_dead_letters(
        self,
        limit: int = 50,
        topic: str | None = None,
        *,
        replayed: bool | None = None,
        dismissed: bool | None = None,
    ) -> OfServices[DeadLetter]:
        """Return the dead letters of all services, asked at the same time, each once."""
    def dead_letter_groups(self, service: str, topic: str | None = None) -> list[DeadLetterGroup]:
        """Return the open dead letters of a service by topic, consumer group, code and signer."""
    def all_dead_letter_groups(self, topic: str | None = None) -> OfServices[DeadLetterGroup]:
        """Return the groups of all services, asked at the same time, each once."""
    def dismiss(self, letter_id: str, reason: str) -> Dismissed:
        """Close a dead letter without a replay. It is open again when its message is refused again."""
    def dead_letter(self, letter_id: str) -> DeadLetterDetail:
        """Return one dead letter with its reason, headers and value."""
    def replay(self, letter_id: str, reason: str = "") -> Replayed:
        """Send a dead letter again to the topic it came from."""
    def sign_in_options(self) -> list[SignInOption]:
        """Return the issuers at which people sign in, with what a client begins a sign-in with."""
    def issuers(self) -> list[IssuerAnswer]:
        """Return the issuers that are or were trusted, with the roles of their groups."""
    def trust_issuer(
        self,
        issuer: str,
        *,
        audience: str | None = None,
        client_id: str | None = None,
        scopes: Sequence[str] | None = None,
        algorithms: Sequence[str] | None = None,
        groups_claim: str | None = None,
        reason: str = "",
    ) -> IssuerAnswer:
        """Trust the tokens of an issuer, or replace its settings.

        `issuer` is the URL as its tokens name it. The registry reads the issuer's keys first. What is left
        out has the registry's default: audience `regista`, client `regista-cli`, scopes `openid` and
        `profile`, RS256, groups in `groups`.
        """
    def distrust_issuer(self, issuer: str, reason: str) -> None:
        """Stop trusting an issuer, by its URL or key: no token of it counts any more."""
    def map_group(
        self, group: str, role: str, namespace: str, issuer: str | None = None, *, reason: str = ""
    ) -> IssuerAnswer:
        """Give a role to who signs in as a member of the group (`*`: everywhere).

        `issuer`: its URL or key; it may be left out where one is trusted.
        """
    def unmap_group(
        self, group: str, role: str, namespace: str, issuer: str | None = None, *, reason: str = ""
    ) -> None:
        """Take a role from a group, and from all its members."""
    def trusts(self) -> list[TrustAnswer]:
        """Return the trusts of all publishers."""
    def add_trust(
        self,
        issuer: str,
        claims: Mapping[str, str],
        publisher: str,
        namespaces: Sequence[str],
        *,
        audience: str | None = None,
        algorithms: Sequence[str] | None = None,
        starter_claim: str | None = None,
        reason: str = "",
    ) -> TrustAnswer:
        """Let jobs whose token an issuer signed, with these claims, act as a publisher.

        `claims`: the exact value of each, or one that ends in `/*` for one more part; one of them names a
        project (`repository`, `project_path`, `sub`). The key of a job has the role publisher in
        `namespaces`. `starter_claim` names the person who started the job; left out, the registry uses those
        of GitHub and GitLab. What else is left out has its default: audience `regista`, RS256.
        """
    def remove_trust(self, trust_id: str, reason: str) -> None:
        """Remove a trust. The keys that jobs have by it end immediately."""
    def close(self) -> None:
        """Report usage and close the connections, in about 10 seconds at most."""
    def publish(
        self,
        model: str,
        artifact: str | Path | None = None,
        run: Run | None = None,
        *,
        via: Via = "",
        progress: Progress | None = None,
        follow_links: bool = False,
        kind: Kind = "model",
        training: Training | Mapping[str, Any] | None = None,
        schema: Signature | Mapping[str, Any] | None = None,
        signature: Signature | Mapping[str, Any] | None = None,
        creator: str | None = None,
        on_behalf_of: str = "",
        run_url: str = "",
        description: str | None = None,
        owner: str | None = None,
        tier: Tier | None = None,
        tags: Mapping[str, str] | None = None,
        draft: bool = False,
        version: str = "",
        exact: bool = False,
        compare_with: int | str | None = None,
        base: int | str | None = None,
        parents: Sequence[Parent | Mapping[str, Any]] = (),
        strict: bool = False,
    ) -> Publication:
        """Upload the artifact (a file or folder) and publish ModelTrained; `wait()` then gives the version.

        ModelTrained is sent to Kafka, signed, where Kafka is configured, else over HTTP; `via` ("kafka",
        "http") selects one. `run` comes from `regista.capture`; `training` and `schema` add to it or
        replace it; `signature` is the former name of `schema`. `creator` defaults to the profile's. `draft`
        registers without the mandatory metadata. `version` claims a version or a bump, `exact` refuses
        instead of raising the claim, `compare_with` is the version to compare with, `base` its former name.
        `description`, `owner`, `tier` and `tags` describe a new model; later only the tier rises. `strict`
        refuses the version when one is not taken; else its `registration_notes` name it. `follow_links`
        reads links to files as files. `progress` is as in `load`.

        Before the upload, raises Refused when metadata are missing or wrong, and Forbidden when the publisher
        lacks the role there. Raises Refused over HTTP when the registry refuses the version; other
        RegistaErrors. A message on Kafka has its outcome later: `wait()` raises
        it, and a warning at the end of the program reports what was not waited for.
        """
    def publish_document(self, data: Mapping[str, Any], *, via: Via = "") -> Publication:
        """Publish ModelTrained's data as they are; `upload` has uploaded the artifact before.

        Data that the registry could not even read raise Refused or TooLarge and are not sent.
        """
    def upload(
        self, artifact: str | Path, progress: Progress | None = None, follow_links: bool = False
    ) -> Artifact:
        """Upload an artifact (a file or folder), and return ModelTrained's `artifact`.

        `follow_links` and `progress` are as in `publish`. Raises Invalid, TooLarge, Damaged, Unavailable.
        """
    def load(
        self,
        reference: str,
        *,
        environment: str = "production",
        progress: Progress | None = None,
        offline: bool | None = None,
    ) -> Loaded:
        """Return the verified files of `model@production`, `@latest`, `@alias`, `@3` or `@1.2.0`.

        Files that are not in the cache are downloaded; every file is verified. For a version that was just
        published the call waits until the artifact service has verified its bytes. `environment` is where the
        use is counted. While the registry does not answer, a version that was loaded before is taken from the
        cache, and a warning states when the registry last confirmed it; with `offline=False` it is not.
        `offline=True` sends no request, nor a report of use. `progress`: None shows a bar on a terminal and a
        line in a notebook, and nothing in CI; True and False decide, and a function (name of a file, bytes
        done, bytes in all) reports. A version that was made from a withdrawn one is loaded with the warning
        WithdrawnAncestor. Raises NotFound, RuleBroken (withdrawn, retired, a draft, not available), Damaged,
        TimedOut and Unavailable.
        """
    def report_usage(self) -> None:
        """Report the counted uses now, instead of at the end of the window."""
