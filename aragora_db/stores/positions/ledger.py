"""Positions: claims with a confidence, resolved once, reversed once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Position, PositionOutcome
from aragora_db.models.base import utcnow
from aragora_db.stores import checks
from aragora_db.stores.rows import check_rows

__all__ = ["Ledger", "NewPosition"]


@dataclass(frozen=True)
class NewPosition:
    """A claim to record.

    Attributes:
        agent_name: who claims it.
        claim: what.
        confidence: how sure the agent is, 0 to 1.
        debate_id: in which debate.
        round_num: in which round of it, from 0.
        domain: the field of the claim, such as ``security``.
    """

    agent_name: str
    claim: str
    confidence: float
    debate_id: str
    round_num: int
    domain: str | None = None


class Ledger:
    """The part of `PositionStore` that writes positions."""

    session: Session

    def record(
        self,
        agent_name: str,
        claim: str,
        confidence: float,
        debate_id: str,
        round_num: int,
        domain: str | None = None,
        *,
        now: datetime | None = None,
    ) -> Position:
        """Record a claim; its outcome is pending.

        Its id is a whole UUID. Aragora 2.8.0 (agents/positions.py) keeps 8 hexadecimal digits of one, of which two are
        equal among 10,000 positions once in a hundred times, and brings a confidence outside 0 to 1 into it in
        silence, so that a 95 meant as per cent becomes certainty; here it is refused.

        Args:
            agent_name: who claims it.
            claim: what.
            confidence: how sure the agent is, 0 to 1.
            debate_id: in which debate.
            round_num: in which round of it, from 0.
            domain: the field of the claim, such as ``security``.
            now: when; the clock's by default.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
        """
        return self.record_many([NewPosition(agent_name, claim, confidence, debate_id, round_num, domain)], now=now)[0]

    def record_many(self, positions: Iterable[NewPosition], *, now: datetime | None = None) -> list[Position]:
        """Record several claims in one statement, all or nothing; see `record`.

        Returns:
            The positions, in the order given.

        Raises:
            InvalidValue: one of them is out of range; nothing is written.
        """
        now = now or utcnow()
        rows = [_row(position, now) for position in positions]
        check_rows(self.session, Position, rows)
        added = [Position(**row) for row in rows]
        self.session.add_all(added)
        self.session.flush()
        return added

    def resolve(self, position_id: str, outcome: str, now: datetime | None = None) -> Position:
        """Say what became of a pending claim. Saying the same once more changes nothing.

        Args:
            position_id: the position.
            outcome: correct, incorrect or unresolved.
            now: when; the clock's by default.

        Returns:
            The position as it is now.

        Raises:
            InvalidValue: there is no such outcome, or it is pending.
            NotFoundError: there is no such position.
            ConflictError: the position has another outcome already; Aragora overwrites it.
        """
        wanted = checks.member("outcome", PositionOutcome, outcome)
        if wanted is PositionOutcome.PENDING:
            raise InvalidValue("outcome is 'pending', which every position begins with; say what became of it")
        now = checks.instant("now", now or utcnow())
        position = self._locked(position_id)
        if position.outcome is PositionOutcome.PENDING:
            position.outcome = wanted
            position.resolved_at = now
            self.session.flush()
        elif position.outcome is not wanted:
            raise ConflictError(
                f"position {position_id} was resolved as {position.outcome}; a position is resolved once, record a new"
                " one"
            )
        return position

    def reverse(self, position_id: str, debate_id: str) -> Position:
        """Say in which debate the agent took a claim back. Saying the same once more changes nothing.

        What the agent claims there, before or after this call, is a flip; see `PositionStore.detect_flips`. A position
        that is reversed without a debate, which old rows can be, gets this one.

        Args:
            position_id: the position.
            debate_id: the debate in which the agent claimed otherwise.

        Returns:
            The position as it is now.

        Raises:
            InvalidValue: the debate's id is no key.
            NotFoundError: there is no such position.
            ConflictError: it was reversed in another debate.
        """
        checks.key("debate_id", debate_id)
        position = self._locked(position_id)
        if position.reversal_debate_id not in {None, debate_id}:
            raise ConflictError(
                f"position {position_id} was reversed in debate {position.reversal_debate_id}; reverse the position"
                " that the agent took there"
            )
        position.reversed = True
        position.reversal_debate_id = debate_id
        self.session.flush()
        return position

    def _locked(self, position_id: str) -> Position:
        position = self.session.get(Position, position_id, with_for_update=True, populate_existing=True)
        if position is None:
            raise NotFoundError(f"there is no position {position_id!r}; record it first")
        return position


def _row(position: NewPosition, now: datetime) -> dict[str, Any]:
    domain = position.domain
    return {
        "id": str(uuid4()),
        "agent_name": checks.key("agent_name", position.agent_name),
        "claim": checks.name("claim", position.claim),
        "confidence": checks.share("confidence", position.confidence),
        "debate_id": checks.key("debate_id", position.debate_id),
        "round_num": checks.count("round_num", position.round_num),
        "domain": None if domain is None else checks.key("domain", domain),
        "outcome": PositionOutcome.PENDING,
        "reversed": False,
        "created_at": now,
    }
