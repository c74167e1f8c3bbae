"""What the agents remember of a debate, and how memories move between the tiers of the continuum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aragora_db.demo.cast import LESSONS
from aragora_db.models import Tier
from aragora_db.stores import ContinuumStore, NewMemory

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from aragora_db.demo.debate import Argued

__all__ = ["remember", "upset"]


def upset(ratings: dict[str, float], winner: str) -> float:
    """How unlikely this winner was, 0 to 1: one minus its share of the strengths ``10 ** (rating / 400)``."""
    strengths = {name: 10 ** (rating / 400) for name, rating in ratings.items()}
    return 1 - strengths[winner] / sum(strengths.values())


def remember(session: Session, argued: Argued, ratings: dict[str, float]) -> None:
    """Keep what was decided, and learn how well the domain's lesson served those who took part.

    Args:
        session: the unit of work of the debate.
        argued: the debate.
        ratings: the participants' ratings before it.
    """
    store, domain = ContinuumStore(session), argued.topic.domain
    if argued.winner is not None:
        decision = f"{argued.id}-decision"
        store.add(
            NewMemory(
                decision,
                f"{argued.topic.task} {argued.claims[argued.winner]}",
                Tier.MEDIUM,
                argued.confidence,
                {"domain": domain, "debate_id": argued.id},
                surprise_score=upset(ratings, argued.winner),
            )
        )
        store.promote(decision)
    lesson = f"demo-lesson-{domain}"
    if store.get(lesson) is None:
        store.add(NewMemory(lesson, LESSONS[domain], Tier.FAST, 0.8, {"domain": domain}, surprise_score=0.5))
    for name, score in argued.scores.items():
        helped = name == argued.winner
        store.update_outcome(lesson, success=helped, prediction_error=abs(float(helped) - score / 10))
    # At most one tier for each debate, as one pass of consolidation does.
    if store.promote(lesson) is None:
        store.demote(lesson)
