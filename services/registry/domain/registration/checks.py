"""The checks of a registration. Each returns its problems, so that a refusal names all of them."""

from __future__ import annotations

from regista.wire.mandatory import problem_of_missing
from services.registry.domain.model.events import MetadataAdded, VersionRegistered
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import Metadata, Problem, Training
from services.registry.domain.model.past import MOST_BYTES
from services.registry.domain.model.state import ModelState, stream_of, unusable_because
from services.registry.domain.naming.name import NAME
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.registration.commands import Registering, RegisterVersion
from services.registry.domain.registration.described import selection_problems
from services.registry.domain.registration.mandatory import contradictions, missing
from shared.deciding.decider import Misrouted, Streams
from shared.deciding.events import encode

RECENT = 1_000
"""The number of newest versions among which a base is searched that the look-up did not find."""


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
        if not command.draft:
            problems += [Problem(name, problem_of_missing(kind)) for name in missing(kind, metadata)]
    problems += selection_problems(command, streams)
    if command.base is not None and base_number(state, command.base) is None:
        problems.append(
            Problem("base", f"{command.base} is no complete version of this model: name one, or leave it out")
        )
    return problems + _parent_problems(metadata, streams)


def _parent_problems(metadata: Metadata, streams: Streams) -> list[Problem]:
    problems = []
    for n, parent in enumerate(metadata.parents):
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


def base_number(state: ModelState, declared: int | str | None) -> int | None:
    """Return the number of the base; None for none.

    It is the declared one, else the newest that was ever Validated, else the newest complete one.

    A semantic version that the look-up did not find was registered a moment ago, so it is searched among the
    newest versions only.
    """
    if isinstance(declared, str):
        newest = range(state.newest, max(0, state.newest - RECENT), -1)
        return next((n for n in newest if n in state.versions and state.versions[n].semver == declared), None)
    number = declared or state.newest_validated or state.newest_complete
    version = state.versions.get(number)
    return number if version is not None and version.semver else None
