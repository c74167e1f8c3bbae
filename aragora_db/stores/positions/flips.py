"""Flips: what agents claimed against what they claimed before, and how consistent that makes them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from aragora_db.engine.dialects import insert
from aragora_db.errors import InvalidValue
from aragora_db.models import DetectedFlip, FlipType, Position
from aragora_db.models.base import utcnow
from aragora_db.rules import positions as rules
from aragora_db.rules.positions import Consistency
from aragora_db.stores import checks
from aragora_db.stores.paging import Keyset, Page, check_limit

__all__ = ["Detection", "Flips"]

_NEWEST = Keyset(DetectedFlip.detected_at.desc(), DetectedFlip.id)


@dataclass(frozen=True)
class Detection:
    """What `Flips.detect_flips` found.

    Attributes:
        flips: all flips of the agent, newest first, then by id.
        new: how many of them were stored by this call.
    """

    flips: tuple[DetectedFlip, ...]
    new: int


class Flips:
    """The part of `PositionStore` about flips."""

    session: Session

    def detect_flips(self, agent_name: str, now: datetime | None = None) -> Detection:
        """Find and store the flips of an agent: a reversed position against each position of the reversing debate.

        Pairs whose flip is stored are not compared again, whatever id it has: repeat it as often as you like.

        Aragora 2.8.0 (insights/flip_detector.py) looks at the last 50 positions, names a flip after the old position
        only, so that several new claims leave one flip, and stores all of them anew, with a new time, at each call.
        Here every pair is kept (`aragora_db.rules.positions.flip_id`), and a position is no flip of itself.

        Args:
            agent_name: the agent.
            now: the time of new flips; the clock's by default.

        Raises:
            InvalidValue: the name is no key; nothing is written.
        """
        now = checks.instant("now", now or utcnow())
        pairs = self.session.execute(_undetected(checks.key("agent_name", agent_name)))
        rows = sorted((_row(old, new, now) for old, new in pairs), key=lambda row: str(row["id"]))
        added: list[str] = []
        if rows:
            statement = insert(self.session, DetectedFlip).on_conflict_do_nothing().returning(DetectedFlip.id)
            added.extend(self.session.scalars(statement, rows))
        flips = sa.select(DetectedFlip).where(DetectedFlip.agent_name == agent_name)
        found = self.session.scalars(flips.order_by(DetectedFlip.detected_at.desc(), DetectedFlip.id))
        return Detection(tuple(found), len(added))

    def flips(
        self,
        agent_name: str | None = None,
        flip_type: str | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[DetectedFlip]:
        """Stored flips, newest first, then by id.

        Args:
            agent_name: only this agent's. With neither this nor a type, the whole table is read and sorted.
            flip_type: only these: contradiction, retraction, qualification or refinement.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(DetectedFlip)
        if agent_name is not None:
            statement = statement.where(DetectedFlip.agent_name == agent_name)
        if flip_type is not None:
            statement = statement.where(DetectedFlip.flip_type == checks.member("flip_type", FlipType, flip_type))
        return _NEWEST.page(
            self.session,
            statement,
            limit=limit,
            after=after,
        )

    def consistency(self, agent_name: str) -> Consistency:
        """How an agent keeps to its claims, by the flips that are stored; an unknown agent has none and scores 1."""
        checks.key("agent_name", agent_name)
        return next(iter(self._consistencies(agent_name)), Consistency(agent_name, 0))

    def consistency_ranking(self, *, min_positions: int = 1, limit: int = 100) -> list[Consistency]:
        """Agents by consistency, best first; then by number of positions, most first; then by name.

        Args:
            min_positions: leave out agents with fewer positions; at least 1.
            limit: how many.

        Raises:
            InvalidValue: an argument is out of range.
        """
        if checks.count("min_positions", min_positions) < 1:
            raise InvalidValue("min_positions is 0; an agent without positions has no rank, ask for 1 or more")
        check_limit(limit)
        ranked = [each for each in self._consistencies() if each.positions >= min_positions]
        # Here and not in SQL: one formula, and no agent more than the two GROUP BYs return anyway.
        return sorted(ranked, key=lambda each: (-each.score, -each.positions, each.agent_name))[:limit]

    def _consistencies(self, agent_name: str | None = None) -> list[Consistency]:
        positions: Any = sa.select(Position.agent_name, sa.literal("positions"), sa.func.count())
        flips: Any = sa.select(DetectedFlip.agent_name, _type_name(), sa.func.count())
        if agent_name is not None:
            positions = positions.where(Position.agent_name == agent_name)
            flips = flips.where(DetectedFlip.agent_name == agent_name)
        both: Any = sa.union_all(positions.group_by(sa.text("1")), flips.group_by(sa.text("1, 2")))
        counts: dict[str, Counter[str]] = {}
        rows: Any = self.session.execute(both)
        for name, what, count in rows:
            counts.setdefault(name, Counter())[what] = count
        return [_consistency(name, count) for name, count in counts.items()]


def _undetected(agent_name: str) -> sa.Select[Position, Position]:
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


def _row(old: Position, new: Position, now: datetime) -> dict[str, Any]:
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
        "detected_at": now,
    }


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
