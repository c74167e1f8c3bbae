"""Positions, found and listed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.models import Position, PositionOutcome
from aragora_db.stores import checks
from aragora_db.stores.paging import Keyset, Page

__all__ = ["Listing"]

_NEWEST = Keyset(Position.created_at.desc(), Position.id)
_ROUNDS = Keyset(Position.round_num, Position.agent_name, Position.id)


class Listing:
    """The part of `PositionStore` that lists positions.

    Every listing raises InvalidValue for a limit or token it cannot use.
    """

    session: Session

    def get(self, position_id: str) -> Position | None:
        """A position by its id, or None."""
        return self.session.get(Position, position_id, populate_existing=True)

    def of_agent(
        self, agent_name: str, outcome: str | None = None, *, limit: int = 100, after: str | None = None
    ) -> Page[Position]:
        """An agent's positions, newest first, then by id.

        Args:
            agent_name: the agent.
            outcome: only with this outcome.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(Position).where(Position.agent_name == agent_name)
        if outcome is not None:
            statement = statement.where(Position.outcome == checks.member("outcome", PositionOutcome, outcome))
        return self._newest(statement, limit, after)

    def with_outcome(self, outcome: str, *, limit: int = 100, after: str | None = None) -> Page[Position]:
        """Positions with an outcome, such as pending, newest first, then by id.

        Args:
            outcome: pending, correct, incorrect or unresolved.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        wanted = checks.member("outcome", PositionOutcome, outcome)
        return self._newest(sa.select(Position).where(Position.outcome == wanted), limit, after)

    def of_debate(self, debate_id: str, *, limit: int = 100, after: str | None = None) -> Page[Position]:
        """The positions of a debate by round, then by agent, then by id.

        Args:
            debate_id: the debate.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        return _ROUNDS.page(
            self.session,
            sa.select(Position).where(Position.debate_id == debate_id).execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def _newest(self, statement: sa.Select[Any], limit: int, after: str | None) -> Page[Position]:
        return _NEWEST.page(
            self.session,
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )
