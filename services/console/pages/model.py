"""One model: who serves, its versions, metrics, lineage, timeline, use and rules."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from services.console.calls import Part, model_path, part, segment
from services.console.charts import Chart, Point, chart
from services.console.pages.then.policies import policies_report
from services.console.rendering import url
from services.console.view import Page, Shown, View

PAGE_SIZE = 50
Json = Mapping[str, Any]
TABS = ("Versions", "Metrics", "Lineage", "Timeline", "Usage", "Rules")


async def _framed(
    view: View, tab: str, fill: Callable[[View, Json], Awaitable[tuple[dict[str, Any], list[Any], str]]]
) -> Shown:
    """Return a tab inside the head that all tabs of a model share."""
    name = view.param("model")
    model, rollouts = await asyncio.gather(
        view.calls.get("registry", model_path(name), as_of=view.as_of),
        part(view.calls.get("registry", model_path(name, "rollouts"), as_of=view.as_of)),
    )
    content, subjects, cli = await fill(view, model)
    by_environment = rollouts.value["items"] if rollouts.value else []
    changers = [r["changed_by"] for r in by_environment]
    names = await view.names([model["owner"], model["registered_by"], *changers, *subjects])
    tabs = [
        (title, url("models", name) if title == "Versions" else url("models", name, title.lower()))
        for title in TABS
    ]
    content |= {"model": model, "rollouts": by_environment, "unknown": rollouts, "tabs": tabs, "tab": tab}
    title = f"{name}: {tab.lower()}"
    return Shown(
        f"model_{tab.lower()}.html", title, "Models", content, cli, f"model:{model['model_id']}", names
    )


async def show_versions(view: View) -> Shown:
    async def fill(view: View, model: Json) -> tuple[dict[str, Any], list[Any], str]:
        name = model["model"]
        found, refusals = await asyncio.gather(
            view.calls.get(
                "registry",
                model_path(name, "versions"),
                stage=None if view.as_of else view.query("stage"),
                as_of=view.as_of,
                page_size=PAGE_SIZE,
                page_token=view.query("page"),
            ),
            part(_refusals(view, name)),
        )
        content = {
            "versions": found["items"],
            "token": found["next_page_token"],
            "champion": _champion_metric(model, found["items"]),
            "refusals": refusals,
        }
        then = f"regista models show {name} --at {view.as_of}"
        cli = then if view.as_of else f"regista versions list {name}"
        return content, [v["creator"] for v in found["items"]], cli

    return await _framed(view, "Versions", fill)


async def _refusals(view: View, name: str) -> Json | None:
    """Return the newest refused registrations. They are only known as they are now."""
    if view.as_of:
        return None
    found: Json = await view.calls.get("registry", "/refusals", model=name, page_size=3)
    return found


def _champion_metric(model: Json, versions: Sequence[Json]) -> Json | None:
    """Return the primary metric of the version in production, where this page has it."""
    return next((v["primary_metric"] for v in versions if v["number"] == model["production"]), None)


async def show_metrics(view: View) -> Shown:
    async def fill(view: View, model: Json) -> tuple[dict[str, Any], list[Any], str]:
        name = model["model"]
        path = model_path(name, "versions")
        found = await view.calls.get("registry", path, as_of=view.as_of, page_size=200)
        measured = [v for v in found["items"] if v["primary_metric"]]
        shown = len(found["items"])
        content = {
            "charts": _charts(measured),
            "without": shown - len(measured),
            "newest": shown if found["next_page_token"] else 0,
        }
        then = f"regista timeline {name}{_until(view)}"
        return content, [], then if view.as_of else f"regista compare {name}@{model['newest'] or 1} …"

    return await _framed(view, "Metrics", fill)


def _charts(versions: Sequence[Json]) -> list[tuple[str, str, Chart]]:
    """Return a chart for each metric on one data set, that of most versions first."""
    groups = Counter((v["primary_metric"]["name"], v["primary_metric"]["dataset_digest"]) for v in versions)
    found = []
    for (metric, digest), _ in groups.most_common(6):
        of_group = [
            v
            for v in reversed(versions)
            if (v["primary_metric"]["name"], v["primary_metric"]["dataset_digest"]) == (metric, digest)
        ]
        points = [
            Point(
                v["number"],
                v["primary_metric"]["value"],
                v["semver"] or "",
                v["primary_metric"]["independent"],
            )
            for v in of_group
        ]
        dataset = of_group[-1]["primary_metric"]["dataset_name"] or digest
        found.append((metric, dataset, chart(points)))
    return found


async def show_lineage(view: View) -> Shown:
    async def fill(view: View, model: Json) -> tuple[dict[str, Any], list[Any], str]:
        name, number = model["model"], view.query("version")
        if not number.isdigit():
            number = str(model["production"] or model["newest"] or "")
        if not number:
            return {"lineage": Part(None), "number": 0}, [], ""
        path = model_path(name, "versions", number, "lineage")
        found = await part(view.calls.get("registry", path, as_of=view.as_of))
        cli = f"regista versions lineage {name}@{number}{f' --at {view.as_of}' if view.as_of else ''}"
        return {"lineage": found, "number": int(number)}, [], cli

    return await _framed(view, "Lineage", fill)


async def show_timeline(view: View) -> Shown:
    async def fill(view: View, model: Json) -> tuple[dict[str, Any], list[Any], str]:
        name = model["model"]
        found = await part(
            view.calls.get(
                "audit",
                f"/timeline/{segment(name)}",
                newest=True,
                notes=False,
                until=view.as_of,
                page_size=PAGE_SIZE,
                page_token=view.query("page"),
            )
        )
        events = found.value["items"] if found.value else []
        subjects = [e["actor"]["subject"] for e in events]
        content = {"events": found, "token": found.value["next_page_token"] if found.value else ""}
        return content, subjects, f"regista timeline {name}{_until(view)}"

    return await _framed(view, "Timeline", fill)


async def show_usage(view: View) -> Shown:
    async def fill(view: View, model: Json) -> tuple[dict[str, Any], list[Any], str]:
        name = model["model"]
        usage, retention = await asyncio.gather(
            part(view.calls.get("cleanup", f"/usage/{segment(name)}", page_size=200)),
            part(
                view.calls.get(
                    "cleanup",
                    f"/retention/{segment(name)}",
                    page_size=PAGE_SIZE,
                    page_token=view.query("page"),
                )
            ),
        )
        token = retention.value["next_page_token"] if retention.value else ""
        content = {"usage": usage, "retention": retention, "token": token}
        return content, [], f"regista cleanup usage {name}"

    return await _framed(view, "Usage", fill)


async def show_rules(view: View) -> Shown:
    async def fill(view: View, model: Json) -> tuple[dict[str, Any], list[Any], str]:
        name = model["model"]
        policies, retention = await asyncio.gather(
            part(view.calls.get("approval", "/policies", page_size=200)),
            part(view.calls.get("cleanup", f"/retention/{segment(name)}", page_size=1)),
        )
        matching = [p for p in applying(policies, model) if p["active"]]
        return (
            {"policies": policies, "matching": matching, "retention": retention},
            [p["published_by"] for p in matching],
            f"regista audit policy --model {name}",
        )

    return await _framed(view, "Rules", fill)


async def show_rules_then(view: View) -> Shown:
    async def fill(view: View, model: Json) -> tuple[dict[str, Any], list[Any], str]:
        policies = await part(policies_report(view))
        in_force = [{**p, "published_by": p["published_by"]["subject"]} for p in applying(policies, model)]
        content = {"policies": policies, "matching": in_force, "retention": Part(None)}
        cli = f"regista audit policy --at {view.as_of}"
        return content, [p["published_by"] for p in in_force], cli

    return await _framed(view, "Rules", fill)


def _until(view: View) -> str:
    """Return the option of the command line for the moment of the page."""
    return f" --until {view.as_of}" if view.as_of else ""


def applying(policies: Part[Any], model: Json) -> list[Json]:
    """Return the policies that may select the model, the strongest first."""
    found = [p for p in (policies.value or {"items": []})["items"] if applies(p["policy"], model)]
    return sorted(found, key=lambda p: -int(p["policy"].get("priority") or 0))


def applies(policy: Json, model: Json) -> bool:
    """Return whether a policy may select the model: its environments are not compared."""
    selector = policy.get("applies_to") or {}
    namespaces = selector.get("namespaces") or []
    namespace = model["namespace"]
    return (
        (not namespaces or any(namespace == n or namespace.startswith(n + ".") for n in namespaces))
        and model["kind"] in (selector.get("kinds") or [model["kind"]])
        and model["tier"] in (selector.get("tiers") or [model["tier"]])
        and all(model["tags"].get(k) == v for k, v in (selector.get("tags") or {}).items())
    )


PAGES = (
    Page("/models/{model}", show_versions, show_versions),
    Page("/models/{model}/metrics", show_metrics, show_metrics),
    Page("/models/{model}/lineage", show_lineage, show_lineage),
    Page("/models/{model}/timeline", show_timeline, show_timeline),
    Page("/models/{model}/usage", show_usage, "The timeline has what was decided about each version."),
    Page("/models/{model}/rules", show_rules, show_rules_then),
)
