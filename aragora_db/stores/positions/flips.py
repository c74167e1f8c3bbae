"""Statements and rows about flips: what an agent claims against what it claimed before."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from aragora_db.models import DetectedFlip, FlipType, Position
from aragora_db.rules import positions as rules
from aragora_db.rules.positions import Consistency

__all__ = ["consistencies", "flip_row", "undetected"]


def undetected(agent_name: str) -> sa.Select[Position, Position]:
    """Return the statement for pairs of a reversed position and one of the reversing debate, without a stored flip."""
    old, new = aliased(Position), aliased(Position)
    stored = sa.exists().where(DetectedFlip.original_position_id == old.id, DetectedFlip.new_position_id == new.id)
    return sa.select(old, new).where(
        old.agent_name == agent_name,
        old.reversed,
        new.agent_name == agent_name,
        new.debate_id == old.reversal_debate_id,
        new.id != old.id,
        ~stored,
    )


def flip_row(old: Position, new: Position, detected_at: datetime) -> dict[str, Any]:
    """Return the columns of the flip from one position to another."""
    return {
        "id": rules.flip_id(old.id, new.id),
        "agent_name": old.agent_name,
        "original_claim": old.claim,
        "new_claim": new.claim,
        "original_confidence": old.confidence,
        "new_confidence": new.confidence,
        "original_debate_id": old.debate_id,
        "new_debate_id": new.debate_id,
        "original_position_id": old.id,
        "new_position_id": new.id,
        "similarity_score": rules.similarity(old.claim, new.claim),
        "flip_type": FlipType(rules.classify(old.claim, new.claim)),
        "domain": old.domain,
        "detected_at": detected_at,
    }


def consistencies(session: Session, agent_name: str | None = None) -> list[Consistency]:
    """Return the consistency of each agent with positions or flips, in one statement; of one agent if it is named."""
    positions: Any = sa.select(Position.agent_name, sa.literal("positions"), sa.func.count())
    flips: Any = sa.select(DetectedFlip.agent_name, _type_name(), sa.func.count())
    if agent_name is not None:
        positions = positions.where(Position.agent_name == agent_name)
        flips = flips.where(DetectedFlip.agent_name == agent_name)
    both: Any = sa.union_all(positions.group_by(sa.text("1")), flips.group_by(sa.text("1, 2")))
    counts: dict[str, Counter[str]] = {}
    rows: Any = session.execute(both)
    for name, what, count in rows:
        counts.setdefault(name, Counter())[what] = count
    return [_consistency(name, count) for name, count in counts.items()]


def _type_name() -> Any:
    return sa.func.coalesce(sa.cast(DetectedFlip.flip_type, sa.Text()), sa.literal("other"))


def _consistency(agent_name: str, counts: Counter[str]) -> Consistency:
    return Consistency(
        agent_name,
        positions=counts["positions"],
        contradictions=counts["contradiction"],
        retractions=counts["retraction"],
        qualifications=counts["qualification"],
        refinements=counts["refinement"],
        other=counts["other"],
    )
