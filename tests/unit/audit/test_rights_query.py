"""A question about rights names a role that there is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.audit.report_shapes import RightsQuery


def test_a_mistyped_role_is_refused_with_the_roles_that_there_are() -> None:
    """Admins have every role, also one that there is not: the answer would be admins alone."""
    with pytest.raises(ValidationError, match="'approver'"):
        RightsQuery.model_validate({"role": "aprover"})
