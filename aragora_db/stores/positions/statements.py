"""Statements: what agents said in each round of a debate, and how often they turned out to be right."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import InvalidValue
from aragora_db.models import DebateOutcome, PositionHistory
from aragora_db.models.base import utcnow
from aragora_db.rules import positions as rules
from aragora_db.rules.positions import Accuracy
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.paging import Keyset, Page
from aragora_db.stores.rows import check_rows

__all__ = ["MAX_TYPE", "Statements", "serialize_debate"]

MAX_TYPE: Final = 64
"""Characters of a statement's type; the table checks the same."""

_NEWEST = Keyset(PositionHistory.created_at.desc(), PositionHistory.id.desc())
_ROUNDS = Keyset(
    PositionHistory.round_num, PositionHistory.position_type, PositionHistory.agent_name, PositionHistory.id
)


class Statements:
    """The part of `PositionStore` about statements."""

    session: Session

    def record_statement(
        self,
        debate_id: str,
        agent_name: str,
        position_type: str,
        position_text: str,
        round_num: int = 0,
        confidence: float = 0.5,
        *,
        now: datetime | None = None,
    ) -> PositionHistory:
        """Record what an agent said, or replace the text and confidence of what it said of this type in this round.

        The row keeps its id, its time and its outcome; Aragora 2.8.0 (agents/truth_grounding.py) deletes it and makes
        a new one without outcome. A statement that comes after the debate was decided, or verified, gets that outcome
        at once, so that it does not matter which is recorded first.

        Args:
            debate_id: the debate.
            agent_name: the agent.
            position_type: what kind of statement, such as ``proposal``, ``critique`` or ``vote``.
            position_text: what it said.
            round_num: in which round, from 0.
            confidence: how sure it was, 0 to 1.
            now: when; the clock's by default.

        Returns:
            The statement as it is stored now.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
        """
        row: dict[str, Any] = {
            "debate_id": checks.key("debate_id", debate_id),
            "agent_name": checks.key("agent_name", agent_name),
            "position_type": checks.name("position_type", position_type),
            "position_text": checks.name("position_text", position_text),
            "round_num": checks.count("round_num", round_num),
            "confidence": checks.share("confidence", confidence),
            "created_at": now or utcnow(),
        }
        if len(position_type) > MAX_TYPE:
            raise InvalidValue(f"position_type has {len(position_type)} characters; it must have at most {MAX_TYPE}")
        check_rows(self.session, PositionHistory, [row])
        serialize_debate(self.session, debate_id)
        outcome = self.outcome(debate_id)
        if outcome is not None:
            row["was_winning_position"] = rules.won(agent_name, outcome.winning_agent)
            if outcome.verification_result is not None:
                row["verified_correct"] = outcome.verification_result and agent_name == outcome.winning_agent
        statement = insert(self.session, PositionHistory).values(**row)
        unique = ("debate_id", "agent_name", "position_type", "round_num")
        changed = (name for name in row if name not in {*unique, "created_at"})
        statement = statement.on_conflict_do_update(
            index_elements=[getattr(PositionHistory, name) for name in unique],
            set_={name: statement.excluded[name] for name in changed},
        )
        return self.session.execute(
            statement.returning(PositionHistory), execution_options={"populate_existing": True}
        ).scalar_one()

    def outcome(self, debate_id: str) -> DebateOutcome | None:
        """Who won a debate, and what a verification said; None while it is undecided."""
        return self.session.get(DebateOutcome, debate_id, populate_existing=True)

    def statements_of_debate(
        self, debate_id: str, *, limit: int = 100, after: str | None = None
    ) -> Page[PositionHistory]:
        """The statements of a debate by round, then by type, then by agent.

        Args:
            debate_id: the debate.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(PositionHistory).where(PositionHistory.debate_id == debate_id)
        return _ROUNDS.page(
            self.session,
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def statements_of_agent(
        self, agent_name: str, *, verified_only: bool = False, limit: int = 100, after: str | None = None
    ) -> Page[PositionHistory]:
        """An agent's statements, newest first.

        Args:
            agent_name: the agent.
            verified_only: leave out those of which nobody knows whether they were correct.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(PositionHistory).where(PositionHistory.agent_name == agent_name)
        if verified_only:
            statement = statement.where(PositionHistory.verified_correct.is_not(None))
        return _NEWEST.page(
            self.session,
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def accuracy(self, agent_name: str, position_type: str | None = None) -> Accuracy:
        """How often an agent's statements won, and how often they turned out to be correct.

        Aragora 2.8.0 (agents/truth_grounding.py) counts votes only, and says 0 for fewer than five verified ones.

        Args:
            agent_name: the agent; an unknown one has made no statements.
            position_type: only statements of this type, such as ``vote``.
        """
        verified: Any = PositionHistory.verified_correct
        winning: Any = PositionHistory.was_winning_position
        counts = sa.select(
            sa.func.count(),
            sa.func.count(sa.case((winning, 1))),
            sa.func.count(verified),
            sa.func.count(sa.case((verified, 1))),
        ).where(PositionHistory.agent_name == agent_name)
        if position_type is not None:
            counts = counts.where(PositionHistory.position_type == position_type)
        return Accuracy(agent_name, *self.session.execute(counts).one())


def serialize_debate(session: Session, debate_id: str) -> None:
    """Wait until nobody else records statements of this debate or decides it.

    Locks on rows are not enough: a statement that is not committed yet would miss the outcome, and the outcome it.
    """
    serialize(session, f"debate-outcome:{debate_id}")
