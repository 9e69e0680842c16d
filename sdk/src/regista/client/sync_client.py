"""`Client`: the methods of `AsyncClient`; each runs on the loop thread and waits for the result."""

from __future__ import annotations

import atexit
import contextlib
import difflib
import inspect
import logging
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from functools import update_wrapper
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from weakref import WeakSet

from regista.client.async_client import AsyncClient
from regista.client.async_publication import AsyncPublication
from regista.client.loop_thread import LOOP
from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.errors import RegistaError, WrongArgument
from regista.former_names import former
from regista.loading.usage import CLOSE_SECONDS
from regista.publishing.publication import Registered

P = ParamSpec("P")
T = TypeVar("T")


def _called(method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a method of the asynchronous client. Raises WrongArgument when the arguments are not its own."""
    try:
        return method(*args, **kwargs)
    except TypeError as e:
        if e.__traceback__ is not None and e.__traceback__.tb_next is not None:
            raise  # not about the arguments
        raise _wrong_argument(method, kwargs, e) from None


def _wrong_argument(method: Callable[..., Any], given: Mapping[str, Any], error: TypeError) -> WrongArgument:
    name = getattr(method, "__name__", "the method")
    names = [one for one in inspect.signature(method).parameters if one != "self"]
    for unknown in (one for one in given if one not in names):
        near = difflib.get_close_matches(unknown, names, 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        return WrongArgument(
            "wrong_argument",
            f"{name} has no argument {unknown!r}",
            advice=f"{meant}It has: {', '.join(names)}.",
        )
    detail = str(error).replace(getattr(method, "__qualname__", name), name)
    return WrongArgument("wrong_argument", detail, advice=f"It has: {', '.join(names)}.")


def _blocking(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Client, P], T]:
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return LOOP.run(_called(method, self.asynchronous, *args, **kwargs))

    update_wrapper(call, method)
    return call


def _publication(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, AsyncPublication]],
) -> Callable[Concatenate[Client, P], Publication]:
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Publication:
        return Publication(LOOP.run(_called(method, self.asynchronous, *args, **kwargs)))

    update_wrapper(call, method)
    shown = inspect.signature(method).replace(return_annotation="Publication")
    call.__signature__ = shown  # type: ignore[attr-defined]
    return call


def _iterated(
    method: Callable[Concatenate[AsyncClient, P], AsyncGenerator[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return _items(_called(method, self.asynchronous, *args, **kwargs))

    update_wrapper(call, method)
    return call


def _items(items: AsyncGenerator[T]) -> Iterator[T]:
    async def following() -> list[T]:
        return [one] if (one := await anext(items, _END)) is not _END else []  # type: ignore[list-item]

    try:
        while found := LOOP.run(following()):
            yield found[0]
    finally:
        LOOP.run(items.aclose())


_END = object()
_clients: WeakSet[Client] = WeakSet()


class Publication:
    """A published version whose registration may be pending. `wait` may be called again after TimedOut."""

    def __init__(self, inner: AsyncPublication) -> None:
        self._inner = inner
        self.id = inner.id
        self.model = inner.model
        self.digest = inner.digest

    def wait(self, seconds: float = 60.0) -> Registered:
        """Wait for the registered version. Raises Refused with every problem, DeadLettered, and TimedOut."""
        return LOOP.run(self._inner.wait(seconds))

    def detach(self) -> None:
        """Do not report at the end of the program what became of the message."""
        self._inner.detach()


class Client:
    """All calls to Regista for synchronous code, notebooks included.

    `with Client() as client: …` closes it and reports usage.
    """

    def __init__(self, profile: Profile | None = None, *, patience: Patience | None = None) -> None:
        self.asynchronous = AsyncClient(profile, patience=patience)
        self.asynchronous.call_soon = LOOP.call_soon
        _clients.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    events = _iterated(AsyncClient.events)

    publish = _publication(AsyncClient.publish)
    publish_document = _publication(AsyncClient.publish_document)

    close = _blocking(AsyncClient.close)
    upload = _blocking(AsyncClient.upload)
    load = _blocking(AsyncClient.load)
    report_usage = _blocking(AsyncClient.report_usage)

    models = _blocking(AsyncClient.models)
    model = _blocking(AsyncClient.model)
    create_model = _blocking(AsyncClient.create_model)
    edit_model = _blocking(AsyncClient.edit_model)
    aliases = _blocking(AsyncClient.aliases)
    set_alias = _blocking(AsyncClient.set_alias)
    remove_alias = _blocking(AsyncClient.remove_alias)

    versions = _blocking(AsyncClient.versions)
    trained_on = _blocking(AsyncClient.trained_on)
    lineage = _blocking(AsyncClient.lineage)
    version = _blocking(AsyncClient.version)
    complete = _blocking(AsyncClient.complete)
    diff = _blocking(AsyncClient.diff)
    compare = _blocking(AsyncClient.compare)
    evaluate = _blocking(AsyncClient.evaluate)
    describe = _blocking(AsyncClient.describe)
    correct = _blocking(AsyncClient.correct)
    notes = _blocking(AsyncClient.notes)
    add_note = _blocking(AsyncClient.add_note)
    correct_note = _blocking(AsyncClient.correct_note)
    refusals = _blocking(AsyncClient.refusals)
    reject_version = _blocking(AsyncClient.reject_version)
    withdraw = _blocking(AsyncClient.withdraw)
    withdraw_trained = _blocking(AsyncClient.withdraw_trained)
    recall = former("recall", withdraw)
    recall_trained = former("recall_trained", withdraw_trained)
    reinstate_withdrawal = _blocking(AsyncClient.reinstate_withdrawal)
    reinstate = _blocking(AsyncClient.reinstate)
    reopen = _blocking(AsyncClient.reopen)
    place_legal_hold = _blocking(AsyncClient.place_legal_hold)
    release_legal_hold = _blocking(AsyncClient.release_legal_hold)
    hold = former("hold", place_legal_hold)
    release_hold = former("release_hold", release_legal_hold)

    wait_for = _blocking(AsyncClient.wait_for)
    wait_for_promotion = _blocking(AsyncClient.wait_for_promotion)
    promote = _blocking(AsyncClient.promote)
    promotion = _blocking(AsyncClient.promotion)
    override = _blocking(AsyncClient.override)
    gates = _blocking(AsyncClient.gates)
    evaluate_gates = _blocking(AsyncClient.evaluate_gates)
    reviews = _blocking(AsyncClient.reviews)
    review = _blocking(AsyncClient.review)
    approve = _blocking(AsyncClient.approve)
    reject = _blocking(AsyncClient.reject)
    comment = _blocking(AsyncClient.comment)
    review_override = _blocking(AsyncClient.review_override)
    policies = _blocking(AsyncClient.policies)
    policy = _blocking(AsyncClient.policy)
    publish_policy = _blocking(AsyncClient.publish_policy)
    preview_policy = _blocking(AsyncClient.preview_policy)
    confirm_policy = _blocking(AsyncClient.confirm_policy)

    rollout = _blocking(AsyncClient.rollout)
    change_rollout = _blocking(AsyncClient.change_rollout)
    rollback = _blocking(AsyncClient.rollback)
    stop_rollout = _blocking(AsyncClient.stop_rollout)
    resolve = _blocking(AsyncClient.resolve)
    route = _blocking(AsyncClient.route)

    environments = _blocking(AsyncClient.environments)
    environment = _blocking(AsyncClient.environment)
    create_environment = _blocking(AsyncClient.create_environment)
    edit_environment = _blocking(AsyncClient.edit_environment)
    retire_environment = _blocking(AsyncClient.retire_environment)
    serving = _blocking(AsyncClient.serving)

    timeline = _blocking(AsyncClient.timeline)
    as_of = _blocking(AsyncClient.as_of)
    stored_events = _blocking(AsyncClient.stored_events)
    attempts = _blocking(AsyncClient.attempts)
    promotions = _blocking(AsyncClient.promotions)
    denials = _blocking(AsyncClient.denials)
    overrides = _blocking(AsyncClient.overrides)
    serving_at = _blocking(AsyncClient.serving_at)
    acts = _blocking(AsyncClient.acts)
    rights_at = _blocking(AsyncClient.rights_at)
    policies_at = _blocking(AsyncClient.policies_at)
    log_checkpoints = _blocking(AsyncClient.log_checkpoints)
    checkpoints = former("checkpoints", log_checkpoints)
    consistency = _blocking(AsyncClient.consistency)
    inclusion = _blocking(AsyncClient.inclusion)
    invariants = _blocking(AsyncClient.invariants)
    check_invariants = _blocking(AsyncClient.check_invariants)
    history = _blocking(AsyncClient.history)
    history_state = _blocking(AsyncClient.history_state)
    export_history = _blocking(AsyncClient.export_history)
    download_history = _blocking(AsyncClient.download_history)

    clean_up = _blocking(AsyncClient.clean_up)
    cleanup_runs = _blocking(AsyncClient.cleanup_runs)
    cleanup_run = _blocking(AsyncClient.cleanup_run)
    sweep = former("sweep", clean_up)
    sweeps = former("sweeps", cleanup_runs)
    sweep_plan = former("sweep_plan", cleanup_run)
    retention = _blocking(AsyncClient.retention)
    set_retention = _blocking(AsyncClient.set_retention)
    remove_retention = _blocking(AsyncClient.remove_retention)
    retention_defaults = _blocking(AsyncClient.retention_defaults)
    set_default_retention = _blocking(AsyncClient.set_default_retention)
    usage = _blocking(AsyncClient.usage)

    dead_letters = _blocking(AsyncClient.dead_letters)
    dead_letter = _blocking(AsyncClient.dead_letter)
    all_dead_letters = _blocking(AsyncClient.all_dead_letters)
    dead_letter_groups = _blocking(AsyncClient.dead_letter_groups)
    all_dead_letter_groups = _blocking(AsyncClient.all_dead_letter_groups)
    replay = _blocking(AsyncClient.replay)
    dismiss = _blocking(AsyncClient.dismiss)

    identities = _blocking(AsyncClient.identities)
    whoami = _blocking(AsyncClient.whoami)
    identity = _blocking(AsyncClient.identity)
    disable_identity = _blocking(AsyncClient.disable_identity)
    enable_identity = _blocking(AsyncClient.enable_identity)
    add_member = _blocking(AsyncClient.add_member)
    remove_member = _blocking(AsyncClient.remove_member)
    service_keys = _blocking(AsyncClient.service_keys)
    create_identity = _blocking(AsyncClient.create_identity)
    set_name = _blocking(AsyncClient.set_name)
    erase_name = _blocking(AsyncClient.erase_name)
    names = _blocking(AsyncClient.names)
    subject_of = _blocking(AsyncClient.subject_of)
    issue_key = _blocking(AsyncClient.issue_key)
    rotate_key = _blocking(AsyncClient.rotate_key)
    revoke_key = _blocking(AsyncClient.revoke_key)
    grant = _blocking(AsyncClient.grant)
    revoke_role = _blocking(AsyncClient.revoke_role)


END_SECONDS = 3 * CLOSE_SECONDS
"""Time limit at exit. Reporting and closing the producer take CLOSE_SECONDS each; the rest is reserve."""

_default: list[Client] = []
_lock = threading.Lock()


def default() -> Client:
    """Return the client of `regista.publish` and `regista.load`.

    It is made from the environment at first use, and closed at exit.
    """
    with _lock:
        if not _default:
            _default.append(Client())
        return _default[0]


def _of_default(method: Callable[Concatenate[Client, P], T]) -> Callable[P, T]:
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return method(default(), *args, **kwargs)

    update_wrapper(call, method)
    _, *others = inspect.signature(method).parameters.values()
    call.__signature__ = inspect.signature(method).replace(parameters=others)  # type: ignore[attr-defined]
    return call


publish = _of_default(Client.publish)
load = _of_default(Client.load)


def _close() -> None:
    while _default:
        with contextlib.suppress(RegistaError):
            _default.pop().close()


@atexit.register
def _close_at_exit() -> None:
    """Report usage and close, without errors, log lines or delays of the exit."""
    quiet = logging.root.manager.disable
    logging.disable()
    while _default:
        with contextlib.suppress(Exception):
            LOOP.finish(_default.pop().asynchronous.close_at_exit(), END_SECONDS)
    logging.disable(quiet)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may hold the old one
    _lock = threading.Lock()
    for client in list(_clients):
        client.asynchronous.after_fork()


os.register_at_fork(after_in_child=_after_fork)
