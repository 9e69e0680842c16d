"""Withdraw what was trained on a data set, and take it out of service: one step, with a preview."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regista.errors import Invalid, RegistaError, RuleBroken
from services.console.calls import model_path, part
from services.console.rendering import url
from services.console.view import Act, Done, Page, Shown, View

Json = Mapping[str, Any]
Version = tuple[str, int]
MOST_ROLLOUTS, MOST_MADE, MOST_TRIED = 20, 50, 5
"""Rollouts and descendants of one step; versions that are tried as the target of a rollback."""
DONE = frozenset({"withdrawn", "proposed"})
LEAVE, STOP = "leave", "stop"


@dataclass(frozen=True, slots=True)
class Way:
    """How an environment is cleared of bad versions: `to` is the target of a rollback, 0 where there is none.

    `trained` is whether one of the bad versions was trained on the data, and not only made from such a one.
    """

    model: str
    environment: str
    bad: Sequence[Json]
    champion: int
    revision: int
    to: int
    why: str
    trained: bool

    @property
    def name(self) -> str:
        """The end of the names of its fields."""
        return f"{self.model}/{self.environment}"


async def _plan(view: View, wanted: str) -> Json:
    """Return what the step would do to each version that was trained on the data set."""
    body = {"trained_on": wanted, "reason": "preview", "dry_run": True}
    found: Json = await view.calls.send("POST", "registry", "/versions:withdraw", body)
    return found


async def _made_from(view: View, wanted: str) -> list[Json]:
    """Return the versions that were made from those and are not withdrawn."""
    found = await view.calls.get("registry", "/versions", trained_on=wanted, page_size=500)
    return [v for v in found["items"] if v["use"] == "parent" and v["number"] and not v["withdrawn"]]


async def show_withdrawal(view: View) -> Shown:
    wanted = view.query("q")
    if not wanted:
        raise Invalid("no_data_set", "The address names no data set.", advice="Find it at Data sets first.")
    plan, made = await asyncio.gather(_plan(view, wanted), part(_made_from(view, wanted)))
    below = made.value or []
    trained = {
        (v["model"], v["number"])
        for v in plan["versions"]
        if v["outcome"] in DONE or v["outcome"] == "unchanged"
    }
    bad = trained | {(v["model"], v["number"]) for v in below}
    serving = _rollouts([*plan["versions"], *below], bad)
    ways = await asyncio.gather(
        *(_way(view, named, versions, bad, trained) for named, versions in serving[:MOST_ROLLOUTS])
    )
    content = {
        "wanted": wanted,
        "plan": plan,
        "changed": [v for v in plan["versions"] if v["outcome"] in DONE],
        "refused": [v for v in plan["versions"] if v["outcome"] == "refused"],
        "made": made,
        "below": below[:MOST_MADE],
        "ways": ways,
        "more": {"made": len(below) - MOST_MADE, "rollouts": len(serving) - MOST_ROLLOUTS},
    }
    cli = f"regista withdraw --trained-on {wanted} --dry-run --reason …"
    return Shown("withdrawal.html", f"Withdraw what was trained on {wanted}", "Data sets", content, cli)


def _rollouts(versions: Iterable[Json], bad: set[Version]) -> list[tuple[tuple[str, str], list[Json]]]:
    """Return model and environment of each rollout in which bad versions serve, with those versions."""
    found: dict[tuple[str, str], list[Json]] = {}
    for version in versions:
        if (version["model"], version["number"]) in bad:
            for rollout in version["rollouts"]:
                found.setdefault((version["model"], rollout["environment"]), []).append(version)
    return sorted(found.items(), key=lambda one: one[0])


async def _way(
    view: View,
    named: tuple[str, str],
    versions: Sequence[Json],
    bad: set[Version],
    trained: set[Version],
) -> Way:
    model, environment = named
    path = model_path(model, "rollouts", environment)
    rollout = await part(view.calls.get("registry", path))
    to, why = await _target(view, model, path, bad)
    now = rollout.value or {"champion": 0, "revision": 0}
    direct = any((v["model"], v["number"]) in trained for v in versions)
    return Way(model, environment, versions, now["champion"], now["revision"], to, why, direct)


async def _target(view: View, model: str, path: str, bad: set[Version]) -> tuple[int, str]:
    """Return the version to roll back to, and what is doubtful about it; 0, and why there is none."""

    async def attempt(to: int | None) -> Json | RegistaError:
        body = {"reason": "preview", "dry_run": True, "to_number": to}
        found = await part(view.calls.send("POST", "registry", f"{path}:rollback", body, revision=0))
        return found.value or found.error or {}

    first = await attempt(None)
    why = first.detail if isinstance(first, RegistaError) else ""
    if isinstance(first, Mapping) and first and (model, first["champion"]) not in bad:
        return first["champion"], first["warning"] or ""
    if isinstance(first, RuleBroken):
        named = [int(n) for n in first.facts.get("targets") or ()]
    elif isinstance(first, RegistaError):
        return 0, why
    else:
        listed = await part(view.calls.get("registry", model_path(model, "versions"), page_size=50))
        named = [v["number"] for v in (listed.value or {"items": []})["items"] if v["semver"]]
    for number in [n for n in named if (model, n) not in bad][:MOST_TRIED]:
        found = await attempt(number)
        if isinstance(found, Mapping) and found:
            return number, found["warning"] or ""
    return 0, why or "no other version served before and is fit"


async def withdraw(view: View) -> Done:
    """Withdraw, then end the service of what the person chose. What is not done is reported by name."""
    wanted, reason = view.query("q"), view.text("reason")
    body = {"trained_on": wanted, "reason": reason, "plan": view.text("plan")}
    done = await view.calls.send("POST", "registry", "/versions:withdraw", body, key=view.text("key"))
    refused = [
        f"{v['model']} #{v['number']}: {v['detail']}" for v in done["versions"] if v["outcome"] == "refused"
    ]
    also = [one for one in (named.rpartition("@") for named in view.texts("also")) if one[0] and one[2]]
    not_also = await _each([(f"{m} #{n}", _withdraw_one(view, m, n, reason)) for m, _, n in also])
    rollouts = [name.removeprefix("way/") for name in view.form if name.startswith("way/")]
    chosen = [p for p in rollouts if view.text(f"way/{p}") != LEAVE]
    unserved = await _each([(p.replace("/", " in "), _clear(view, p, reason)) for p in chosen])
    text = report(done, refused, (len(also), not_also), (len(chosen), unserved))
    return Done(url("data-sets", q=wanted), text)


async def _each(steps: Sequence[tuple[str, Any]]) -> list[str]:
    """Carry the steps out, and return what was refused, each with its reason."""
    results = await asyncio.gather(*(step for _, step in steps), return_exceptions=True)
    failed = []
    for (named, _), result in zip(steps, results, strict=True):
        if isinstance(result, RegistaError):
            failed.append(f"{named}: {result.detail}")
        elif isinstance(result, BaseException):
            raise result
    return failed


def _key(view: View, *about: str) -> str:
    """Return a key for one part of the step: sending the form twice has one effect."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join((view.text("key"), *about))))


async def _withdraw_one(view: View, model: str, number: str, reason: str) -> None:
    path = model_path(model, "versions", number)
    key = _key(view, model, number)
    await view.calls.send("POST", "registry", f"{path}:withdraw", {"reason": reason}, key=key)


async def _clear(view: View, named: str, reason: str) -> None:
    """Roll back or stop where bad versions serve, unless another champion serves than the person saw."""
    model, _, environment = named.partition("/")
    way, path = view.text(f"way/{named}"), model_path(model, "rollouts", environment)
    body: dict[str, Any] = {"reason": reason, "from_number": view.number(f"from/{named}")}
    act = ":stop" if way == STOP else ":rollback"
    if act == ":rollback":
        body |= {"to_number": int(way) if way.isdigit() else 0}
    revision, key = view.number(f"revision/{named}"), _key(view, named)
    await view.calls.send("POST", "registry", f"{path}{act}", body, revision=revision, key=key)


def report(
    done: Json, refused: Sequence[str], also: tuple[int, Sequence[str]], chosen: tuple[int, Sequence[str]]
) -> str:
    """Return what was done and what was not.

    `also` are the versions that the person added and `chosen` the rollouts: how many, and which of them were
    refused, in words.
    """
    more, cleared = (count - len(failed) for count, failed in (also, chosen))
    failed = [*refused, *also[1], *chosen[1]]
    counted = {name: sum(v["outcome"] == name for v in done["versions"]) for name in DONE}
    withdrawn = counted["withdrawn"] + more
    again = not withdrawn and not failed and not counted["proposed"]  # the form was sent twice
    parts = ["All are withdrawn already" if again else f"You withdrew {_many(withdrawn, 'version')}"]
    if counted["proposed"]:
        parts.append(
            f"proposed to withdraw {counted['proposed']}, which a second person confirms by the same step"
        )
    if cleared:
        parts.append(f"changed who serves in {_many(cleared, 'rollout')}")
    text = ", and ".join(parts) + "."
    if failed:
        text += f" Not done: {'; '.join(failed)}."
    return f"{text} A second person undoes a mistake: regista reinstate --withdrawal {done['withdrawal_id']}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


WITHDRAWAL = Page("/data-sets/withdraw", show_withdrawal)
PAGES = (WITHDRAWAL,)
ACTS = (Act(WITHDRAWAL.path, withdraw, WITHDRAWAL),)
