"""What the agents remember of a debate, and how memories move between the tiers of the continuum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aragora_db.demo.cast import LESSONS
from aragora_db.models import ContinuumMemory, Tier, TierTransition
from aragora_db.models.base import utcnow
from aragora_db.rules import continuum

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
    if argued.winner is not None:
        decided = ContinuumMemory(
            id=f"{argued.id}-decision",
            content=f"{argued.topic.task} {argued.claims[argued.winner]}",
            importance=argued.confidence,
            surprise_score=upset(ratings, argued.winner),
            tier=Tier.MEDIUM,
            update_count=1,
            metadata_={"domain": argued.topic.domain, "debate_id": argued.id},
        )
        session.add(decided)
        session.flush()  # a transition refers to the memory by its key, which the unit of work does not sort by
        _move(session, decided)
    lesson = _lesson(session, argued.topic.domain)
    for name, score in argued.scores.items():
        _use(lesson, succeeded=name == argued.winner, expected=score / 10)
    _move(session, lesson)


def _lesson(session: Session, domain: str) -> ContinuumMemory:
    lesson = session.get(ContinuumMemory, f"demo-lesson-{domain}")
    if lesson is None:
        lesson = ContinuumMemory(
            id=f"demo-lesson-{domain}",
            content=LESSONS[domain],
            tier=Tier.FAST,
            importance=0.8,
            surprise_score=0.5,
            update_count=0,
            success_count=0,
            failure_count=0,
            metadata_={"domain": domain},
        )
        session.add(lesson)
        session.flush()  # as above
    return lesson


def _use(memory: ContinuumMemory, *, succeeded: bool, expected: float) -> None:
    memory.surprise_score, memory.consolidation_score = continuum.after_outcome(
        memory.surprise_score,
        memory.success_count,
        memory.failure_count,
        succeeded=succeeded,
        prediction_error=abs(float(succeeded) - expected),
    )
    memory.success_count += succeeded
    memory.failure_count += not succeeded
    memory.update_count += 1
    memory.updated_at = utcnow()


def _move(session: Session, memory: ContinuumMemory) -> None:
    """At most one tier for each debate, as one pass of Aragora's consolidation does."""
    before, after = memory.tier, Tier(continuum.next_tier(memory.tier, memory.surprise_score, memory.update_count))
    if after is before:
        return
    faster = continuum.HALF_LIFE_HOURS[after] < continuum.HALF_LIFE_HOURS[before]
    session.add(
        TierTransition(
            memory_id=memory.id,
            from_tier=before,
            to_tier=after,
            reason="high_surprise" if faster else "high_stability",
            surprise_score=memory.surprise_score,
        )
    )
    memory.tier = after
    if faster:
        memory.last_promotion_at = utcnow()
