"""The kinds of stream, and who decides which command. Start here.

A Gate is one rule of a policy, as data. The gates of a version are what all of them need to know of it.

policy              a policy's revisions, and which one applies
policy_publication  policies are published, weaker ones twice
gate_kinds          Gate, and the kinds of gate
gate_checks         what each kind checks
version_gates       what is noted of a version for its gates, and their verdicts
assessment          the gates of one stage, checked
promotion           how an open promotion goes on
review              what people see and have written
approving           people approve or reject
independence        who may decide
override            the break-glass override
outcomes            the events that open or end a promotion
"""

from __future__ import annotations

from typing import Any, get_args

from services.approval.domain import approving, override, policy, policy_publication, promotion
from services.approval.domain.policy import POLICIES, POLICY
from services.approval.domain.review import REVIEW, Comment, RemindAfterReview
from services.approval.domain.version_gates import VERSION_GATES, NoteCommand
from shared.deciding.decider import Decider, Fold, Joint
from shared.deciding.noted_environments import ENVIRONMENTS, NoteEnvironment

FOLDS: tuple[Fold[Any, Any], ...] = (POLICY, POLICIES, VERSION_GATES, REVIEW, ENVIRONMENTS)

DECIDERS: dict[type, Decider[Any, Any, Any] | Joint[Any]] = {
    **policy.DECIDERS,
    **policy_publication.DECIDERS,
    **dict.fromkeys(get_args(NoteCommand), VERSION_GATES),
    **promotion.DECIDERS,
    **approving.DECIDERS,
    **override.DECIDERS,
    Comment: REVIEW,
    RemindAfterReview: REVIEW,
    NoteEnvironment: ENVIRONMENTS,
}
