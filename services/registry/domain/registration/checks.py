"""The checks of a registration. Each returns its problems, so that a refusal names all of them."""

from __future__ import annotations

from regista.wire.contradictions import is_outside, of_parent
from regista.wire.mandatory import problem_of_missing
from services.registry.domain.model.events import MetadataAdded, VersionRegistered
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import (
    Metadata,
    Problem,
    Training,
)
from services.registry.domain.model.past import MOST_BYTES
from services.registry.domain.model.state import ModelState, stream_of, unusable_because
from services.registry.domain.naming.name import NAME
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.naming.tags import problem_of_tags
from services.registry.domain.registration.base import choose_base
from services.registry.domain.registration.commands import Registering, RegisterVersion
from services.registry.domain.registration.described import selection_problems
from services.registry.domain.registration.mandatory import contradictions, missing
from shared.deciding.decider import Misrouted, Streams
from shared.deciding.events import encode


def problems_of(
    command: Registering, metadata: Metadata, state: ModelState, kind: str, streams: Streams
) -> list[Problem]:
    """Return everything that is wrong with the registration of `metadata`."""
    problems = contradictions(metadata)
    if isinstance(command, RegisterVersion):
        if state.kind and command.kind not in {None, state.kind}:
            problems.append(
                Problem("kind", f"{state.model} is of kind {state.kind}: use that kind, or another model")
            )
        if problem := problem_of_tags(command.tags):
            problems.append(Problem("tags", problem))
        if not command.draft:
            problems += [Problem(name, problem_of_missing(name, kind)) for name in missing(kind, metadata)]
    problems += selection_problems(command, streams)
    if not choose_base(state, command.base, command.claim).is_known:
        problems.append(
            Problem(
                "base",
                f"{command.base} is no complete version of this model: give a number, a semantic version, an "
                "environment or an alias, or leave it out",
            )
        )
    return problems + _parent_problems(metadata, streams)


def _parent_problems(metadata: Metadata, streams: Streams) -> list[Problem]:
    problems = []
    for n, parent in enumerate(metadata.parents):
        wrong = [Problem(*one) for one in of_parent(n, parent.model, parent.number, parent.digest)]
        problems += wrong
        if wrong or is_outside(parent.model):
            continue
        if not parent.model_id:
            if streams.state(NAME, name_stream(parent.model)).model_id:
                raise name_claimed(parent.model)
            problems.append(
                Problem(f"parents.{n}.model", f"there is no model {parent.model}: register it first")
            )
            continue
        if stream_of(parent.model_id) not in streams.states:
            raise Misrouted("parent_missing", f"The stream of the parent {parent.model} is needed, too.")
        version = streams.state(MODEL, stream_of(parent.model_id)).versions.get(parent.number)
        why = unusable_because(version) if version else "unknown"
        if why:
            problems.append(
                Problem(
                    f"parents.{n}.number",
                    f"{parent.model} version {parent.number} is {why}: name another version",
                )
            )
    return problems


def name_claimed(name: str) -> Misrouted:
    """Return the answer for a name that another command claimed after it was looked up."""
    return Misrouted("name_claimed", f"{name} was registered meanwhile: look its id up again.")


def other_makers(before: Training, given: Training) -> list[Problem]:
    """Return a problem for each maker of the draft that would change: makers never approve the version."""
    return [
        Problem(
            f"training.{name}",
            f"the draft names {was!r:.120}, and that does not change: leave it out, or register another "
            "version",
        )
        for name in ("creator", "on_behalf_of")
        if (was := getattr(before, name)) and getattr(given, name) not in {None, was}
    ]


def too_large(event: VersionRegistered | MetadataAdded) -> Problem | None:
    """Return the problem of an event that is too large, naming its largest part."""
    size = len(encode(event))
    if size <= MOST_BYTES:
        return None
    parts = {
        "training": event.metadata.training,
        "signature": event.metadata.signature,
        "artifact": event.metadata.artifact,
    }
    largest = max(parts, key=lambda name: len(encode(parts[name])))
    return Problem(
        largest,
        f"the version would take {size:,} bytes, and a version has at most {MOST_BYTES:,}: shorten this "
        "part, or put it into the artifact",
    )
