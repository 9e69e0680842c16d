"""A data set: every version that was built on it, at any distance, and where each serves or served."""

from __future__ import annotations

from services.console.view import Page, Shown, View


async def show_data_set(view: View) -> Shown:
    wanted = view.query("q")
    content: dict[str, object] = {"wanted": wanted, "versions": [], "token": "", "truncated": False}
    content |= {"engineer": False, "usable": False}
    if wanted:
        found = await view.calls.get(
            "registry", "/versions", trained_on=wanted, page_size=100, page_token=view.query("page")
        )
        content |= {
            "versions": found["items"],
            "token": found["next_page_token"],
            "truncated": found["truncated"],
            "serving": [v for v in found["items"] if v["rollouts"]],
            "usable": any(v["use"] != "evaluation" for v in found["items"]),
            "engineer": any(held["role"] in {"engineer", "admin"} for held in view.session.caller["roles"]),
        }
    cli = f"regista versions trained-on {wanted}" if wanted else ""
    title = f"Data set {wanted}" if wanted else "Data sets"
    return Shown("data_sets.html", title, "Data sets", content, cli, "any" if wanted else "")


PAGES = (Page("/data-sets", show_data_set, "Rollouts shows what served then."),)
