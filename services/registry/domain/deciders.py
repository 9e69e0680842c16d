"""Which module decides which command, and how streams fold. Start here.

model         what a model is: events, state, fold, the document of a version, past events that decisions load
naming        names of models; owner, tags, risk tier, description; the policies that these select
registration  a trained model becomes a version, or a draft, or a refusal
versioning    the semantic version: what differs, which level that proves
remarks       description, tags and notes of a version; corrections of what no decision is bound to
validation    gate verdicts and artifact reports; evaluations
promotion     the request for Production, the grant, the refusal, the evidence
serving       who serves where: environments, rollouts, rollback, stop, aliases, after-reviews
withdrawal    the end of a version: rejection, recall, reinstatement, legal hold, retirement
labels        what clients of MLflow set for themselves where a namespace lets them; no rule depends on it
noted         what the registry reads of other services' events
"""

from __future__ import annotations

from typing import Any

from services.registry.domain.labels import labels, modes
from services.registry.domain.labels.modes import MODES
from services.registry.domain.model.fold import MODEL
from services.registry.domain.naming import description, selection
from services.registry.domain.naming.name import NAME
from services.registry.domain.naming.selection import SELECTION
from services.registry.domain.promotion import promotion, refusal
from services.registry.domain.registration import registration
from services.registry.domain.remarks import correction, notes
from services.registry.domain.serving import after_review, alias, environment, rollback, rollout, stop
from services.registry.domain.serving.environment import ENVIRONMENT
from services.registry.domain.validation import evaluations, gate_verdicts
from services.registry.domain.withdrawal import legal_hold, rejection, retirement, reversal
from shared.deciding.decider import Decider, Fold, Joint

FOLDS: tuple[Fold[Any, Any], ...] = (MODEL, NAME, SELECTION, ENVIRONMENT, MODES)

DECIDERS: dict[type, Decider[Any, Any, Any] | Joint[Any]] = {
    **registration.DECIDERS,
    **description.DECIDERS,
    **selection.DECIDERS,
    **gate_verdicts.DECIDERS,
    **evaluations.DECIDERS,
    **notes.DECIDERS,
    **correction.DECIDERS,
    **promotion.DECIDERS,
    **refusal.DECIDERS,
    **rollout.DECIDERS,
    **rollback.DECIDERS,
    **stop.DECIDERS,
    **after_review.DECIDERS,
    **alias.DECIDERS,
    **environment.DECIDERS,
    **modes.DECIDERS,
    **labels.DECIDERS,
    **rejection.DECIDERS,
    **reversal.DECIDERS,
    **legal_hold.DECIDERS,
    **retirement.DECIDERS,
}
