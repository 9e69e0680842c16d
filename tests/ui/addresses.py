"""The address of every page of the console, with a review and a run where they have one."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from tests.ui.conftest import HOSTILE, Site

FIXED = {
    "home": "/",
    "models": "/models",
    "models-empty": "/models?q=nothing-has-this-name",
    "versions": "/versions?metric=auc%3E0.9",
    "model": "/models/fraud.scoring",
    "model-metrics": "/models/fraud.scoring/metrics",
    "model-lineage": "/models/fraud.scoring/lineage",
    "model-timeline": "/models/fraud.scoring/timeline",
    "model-usage": "/models/fraud.scoring/usage",
    "model-rules": "/models/fraud.scoring/rules",
    "version": "/models/fraud.scoring/versions/2",
    "version-blocked": "/models/fraud.scoring/versions/3",
    "version-draft": "/models/fraud.scoring/versions/4",
    "hostile-model": "/models/fraud.hostile",
    "hostile-version": "/models/fraud.hostile/versions/1",
    "reviews": "/reviews",
    "rollouts": "/rollouts",
    "rollout": "/rollouts/fraud.scoring/production",
    "rollout-none": "/rollouts/sales.churn/production",
    "rollout-change": "/rollouts/fraud.scoring/production/change?n=1&p=90&r=champion&n=2&p=10&r=challenger",
    "rollout-rollback": "/rollouts/fraud.scoring/production/rollback",
    "rollout-stop": "/rollouts/fraud.scoring/production/stop",
    "data-set": "/data-sets?q=transactions-1",
    "data-set-step": "/data-sets/withdraw?q=transactions-1",
    "history": "/history",
    "history-timeline": "/history?what=timeline&model=fraud.scoring",
    "as-of": "/history/as-of",
    "as-of-model": "/history/as-of?model=fraud.scoring",
    "cleanup": "/cleanup",
    "retention": "/models/fraud.scoring/retention",
    "policies": "/policies",
    "policy-new": "/new-policy?name=sales-high",
    "access": "/access",
    "issuers": "/access/issuers",
    "trusts": "/access/trusts",
    "links": "/access/links",
    "person": "/people/person:bob",
    "operations": "/operations",
    "dead-letters": "/operations/dead-letters/registry",
    "search": "/search?q=fraud",
    "missing": "/models/fraud.none",
}

THEN = {
    "then-home": "/",
    "then-models": "/models",
    "then-model": "/models/fraud.scoring",
    "then-model-metrics": "/models/fraud.scoring/metrics",
    "then-model-lineage": "/models/fraud.scoring/lineage",
    "then-model-timeline": "/models/fraud.scoring/timeline",
    "then-model-rules": "/models/fraud.scoring/rules",
    "then-version": "/models/fraud.scoring/versions/1",
    "then-reviews": "/reviews",
    "then-rollouts": "/rollouts",
    "then-rollout": "/rollouts/fraud.scoring/production",
    "then-history": "/history",
    "then-as-of": "/history/as-of",
    "then-policies": "/policies",
    "then-policy": "/policies/default",
    "then-access": "/access",
    "then-trusts": "/access/trusts",
    "then-links": "/access/links",
    "then-issuers": "/access/issuers",
    "then-as-of-model": "/history/as-of?model=fraud.scoring",
    "then-person": "/people/person:bob",
    "then-search": "/search?q=fraud",
    "then-only-now": "/operations",
}
"""The pages as of the moment `then` of the site."""


def as_of(address: str, moment: str) -> str:
    """Return the address of a page as of a moment."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'as_of': moment})}"


def addresses(site: Site) -> dict[str, str]:
    """Return the address of each page by a name for its screenshot."""
    past = {name: as_of(address, site.then) for name, address in THEN.items()}
    return FIXED | {"review": f"/reviews/{site.review}"} | past


def with_own_template(site: Site) -> dict[str, str]:
    """Return the pages without those of the past that differ from the page of now in the band only."""
    same = {
        f"then-{one}"
        for one in ("model-metrics", "model-lineage", "model-timeline", "model-rules", "history", "as-of")
    }
    same |= {"then-search", "then-rollouts", "then-policies"}
    return {name: address for name, address in addresses(site).items() if name not in same}


def hostile_addresses() -> list[str]:
    """Return the address of every page that shows texts of the hostile pipeline, or of its reader."""
    model, typed = "/models/fraud.hostile", urlencode({"q": HOSTILE, "page": HOSTILE, "model": HOSTILE})
    now = datetime.now(UTC).isoformat()
    tabs = [f"{model}/{tab}" for tab in ("metrics", "lineage", "timeline", "usage", "rules")]
    return [
        *(
            model,
            *tabs,
            f"{model}/versions/1",
            as_of(model, now),
            as_of(f"{model}/versions/1", now),
            "/",
            "/models",
            "/versions",
            "/reviews",
            "/history",
            "/access",
        ),
        *(f"{path}?{typed}" for path in ("/search", "/data-sets", "/models", "/sign-in")),
    ]
