"""The kinds of stream, and who decides which command. Start here.

policy       a policy's revisions, and which one applies     gate        facts and verdicts of a version
gate_kinds   the kinds of gate                              gate_checks what each kind checks
assessment   the gates of one stage, checked                promotion   how an open promotion goes on
review       what people see and have written               approving   people approve or reject
override     the break-glass override                       outcomes    events that open or end a promotion
publishing   policies are published, weaker ones twice      independence who may decide
"""

from __future__ import annotations

from typing import Any, get_args

from services.approval.domain import approving, override, policy, promotion, publishing
from services.approval.domain.gate import GATE, GateCommand
from services.approval.domain.policy import POLICIES, POLICY
from services.approval.domain.review import REVIEW, Comment, RemindAfterReview
from shared.deciding.decider import Decider, Fold, Joint
from shared.deciding.noted_environments import ENVIRONMENTS, NoteEnvironment

FOLDS: tuple[Fold[Any, Any], ...] = (POLICY, POLICIES, GATE, REVIEW, ENVIRONMENTS)

DECIDERS: dict[type, Decider[Any, Any, Any] | Joint[Any]] = {
    **policy.DECIDERS,
    **publishing.DECIDERS,
    **dict.fromkeys(get_args(GateCommand), GATE),
    **promotion.DECIDERS,
    **approving.DECIDERS,
    **override.DECIDERS,
    Comment: REVIEW,
    RemindAfterReview: REVIEW,
    NoteEnvironment: ENVIRONMENTS,
}
