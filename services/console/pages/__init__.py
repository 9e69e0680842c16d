"""The pages and acts of the console, by area."""

from __future__ import annotations

from services.console.pages import (
    access,
    cleanup,
    data_sets,
    dead_letters,
    history,
    history_files,
    home,
    issuers,
    model,
    models,
    operations,
    person,
    policies,
    policy_edit,
    retention,
    review,
    reviews,
    rollouts,
    search,
    version,
    version_acts,
    withdrawal,
)

PAGES = (
    *home.PAGES,
    *models.PAGES,
    *model.PAGES,
    *version.PAGES,
    *reviews.PAGES,
    *review.PAGES,
    *rollouts.PAGES,
    *data_sets.PAGES,
    *withdrawal.PAGES,
    *history.PAGES,
    *cleanup.PAGES,
    *policies.PAGES,
    *policy_edit.PAGES,
    *access.PAGES,
    *issuers.PAGES,
    *person.PAGES,
    *retention.PAGES,
    *operations.PAGES,
    *dead_letters.PAGES,
    *search.PAGES,
)
ACTS = (
    *version_acts.ACTS,
    *review.ACTS,
    *rollouts.ACTS,
    *withdrawal.ACTS,
    *dead_letters.ACTS,
    *policy_edit.ACTS,
    *access.ACTS,
    *issuers.ACTS,
    *person.ACTS,
    *retention.ACTS,
)
DOWNLOADS = history_files.DOWNLOADS
