"""Outcomes: who won a debate, whether that was verified, and what it says about each statement."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import DebateOutcome, PositionHistory
from aragora_db.models.base import utcnow
from aragora_db.stores import checks
from aragora_db.stores.positions.statements import serialize_debate
from aragora_db.stores.rows import check_rows

__all__ = ["Grounding"]

_FRESH = {"populate_existing": True}


class Grounding:
    """The part of `PositionStore` that decides and verifies debates."""

    session: Session

    def finalize_debate(
        self,
        debate_id: str,
        winner: str | None,
        winning_position: str | None = None,
        consensus_confidence: float | None = None,
        *,
        now: datetime | None = None,
    ) -> DebateOutcome:
        """Record who won a debate, once, and mark its statements: the winner's won, the others did not.

        Without a winner it stays unknown who won. Saying the same once more changes nothing; Aragora 2.8.0
        (agents/truth_grounding.py) replaces the row, and with it forgets a verification.

        Args:
            debate_id: the debate.
            winner: the agent that won; None when nobody did.
            winning_position: what it said.
            consensus_confidence: how sure everybody was, 0 to 1.
            now: when; the clock's by default.

        Returns:
            The outcome as it is stored.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            ConflictError: the debate has another winner, winning position or confidence.
        """
        sure = consensus_confidence
        told: dict[str, Any] = {
            "winning_agent": None if winner is None else checks.key("winner", winner),
            "winning_position": winning_position,
            "consensus_confidence": None if sure is None else checks.share("consensus_confidence", sure),
        }
        row = {"debate_id": checks.key("debate_id", debate_id), "created_at": now or utcnow()} | told
        check_rows(self.session, DebateOutcome, [row])
        serialize_debate(self.session, debate_id)
        statement = insert(self.session, DebateOutcome).values(**row).on_conflict_do_nothing()
        outcome = self.session.scalars(statement.returning(DebateOutcome)).one_or_none()
        if outcome is None:
            outcome = self._outcome(debate_id)
            for name, value in told.items():
                if getattr(outcome, name) != value:
                    raise ConflictError(
                        f"debate {debate_id} was decided with another {name}; it is decided once, read it with"
                        " outcome(debate_id)"
                    )
            return outcome
        unknown: Any = sa.null()
        self._mark(debate_id, was_winning_position=unknown if winner is None else PositionHistory.agent_name == winner)
        return outcome

    def verify_debate(
        self, debate_id: str, result: bool, source: str = "manual", *, now: datetime | None = None
    ) -> DebateOutcome:
        """Record whether a debate's winning position was correct, once, and mark its statements.

        The winner's statements are as correct as the result says. All others count as not correct, also when the
        winner was wrong or nobody won: Aragora's rule (2.8.0, agents/truth_grounding.py). Saying the same once more
        changes nothing.

        Args:
            debate_id: a debate that is decided.
            result: whether the winning position was correct.
            source: who or what verified it, such as ``manual`` or a prover's name.
            now: when; the clock's by default.

        Returns:
            The outcome as it is stored.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: the debate is not decided; Aragora marks its statements all the same.
            ConflictError: it was verified with another result or by another source.
        """
        told: dict[str, Any] = {"verification_result": result, "verification_source": checks.name("source", source)}
        if told["verification_result"] is None:
            raise InvalidValue("result is None; it must be True or False")
        now = now or utcnow()
        check_rows(self.session, DebateOutcome, [told | {"debate_id": debate_id, "verified_at": now}])
        serialize_debate(self.session, checks.key("debate_id", debate_id))
        outcome = self._outcome(debate_id)
        if outcome.verification_result is not None:
            if (outcome.verification_result, outcome.verification_source) != (result, source):
                raise ConflictError(
                    f"debate {debate_id} was verified as {outcome.verification_result} by"
                    f" {outcome.verification_source}; it is verified once"
                )
            return outcome
        outcome.verification_result = result
        outcome.verification_source = source
        outcome.verified_at = now
        self.session.flush()
        correct = sa.case((PositionHistory.was_winning_position.is_(True), sa.literal(result)), else_=sa.false())
        self._mark(debate_id, verified_correct=correct)
        return outcome

    def _outcome(self, debate_id: str) -> DebateOutcome:
        outcome = self.session.get(DebateOutcome, debate_id, with_for_update=True, populate_existing=True)
        if outcome is None:
            raise NotFoundError(f"debate {debate_id!r} is not decided; call finalize_debate first")
        return outcome

    def _mark(self, debate_id: str, **values: Any) -> None:
        """Change the statements of one debate, and those of them that the session holds."""
        statement = sa.update(PositionHistory).where(PositionHistory.debate_id == debate_id).values(**values)
        options = {"populate_existing": True, "synchronize_session": False}
        self.session.scalars(statement.returning(PositionHistory), execution_options=options).all()
