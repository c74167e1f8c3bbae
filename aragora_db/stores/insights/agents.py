"""How agents do, over all their debates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.models import AgentPerformance
from aragora_db.stores import checks
from aragora_db.stores.paging import check_limit
from aragora_db.types import Double

__all__ = ["AgentStats", "Agents"]


@dataclass(frozen=True)
class AgentStats:
    """What an agent contributed over all its debates.

    Attributes:
        agent_name: the agent.
        debates: how many debates.
        acceptance_rate: share of them in which a proposal of it was accepted, 0 to 1.
        alignment_rate: share of them in which it voted for what was decided, 0 to 1.
        average_contribution: mean contribution score, 0 to 1.
        proposals_made: proposals in all of them.
        critiques_given: critiques it gave in all of them.
        critiques_received: critiques it received in all of them.
    """

    agent_name: str
    debates: int
    acceptance_rate: float
    alignment_rate: float
    average_contribution: float
    proposals_made: int
    critiques_given: int
    critiques_received: int


class Agents:
    """The part of `InsightStore` about agents."""

    session: Session

    def rankings(self, *, min_debates: int = 1, limit: int = 100) -> list[AgentStats]:
        """Agents by average contribution, highest first; then by number of debates, then by name.

        Args:
            min_debates: leave out agents with fewer debates.
            limit: how many.

        Raises:
            InvalidValue: an argument is out of range.
        """
        statement = _stats().having(sa.func.count() >= checks.count("min_debates", min_debates))
        statement = statement.order_by(
            sa.text("average_contribution DESC"), sa.text("debates DESC"), AgentPerformance.agent_name
        )
        rows = self.session.execute(statement.limit(check_limit(limit)))
        return [AgentStats(*row) for row in rows]

    def agent_stats(self, agent_name: str) -> AgentStats | None:
        """One agent's numbers; None when it took part in no recorded debate."""
        row = self.session.execute(_stats().where(AgentPerformance.agent_name == agent_name)).one_or_none()
        return None if row is None else AgentStats(*row)


def _stats() -> Any:
    rows: Any = AgentPerformance
    statement: Any = sa.select(
        rows.agent_name,
        sa.func.count().label("debates"),
        _rate(rows.proposal_accepted),
        _rate(rows.vote_aligned),
        sa.func.avg(rows.contribution_score, type_=Double()).label("average_contribution"),
        # The sum of bigints is a numeric on PostgreSQL.
        *(
            sa.cast(sa.func.sum(column), sa.BigInteger())
            for column in (rows.proposals_made, rows.critiques_given, rows.critiques_received)
        ),
    )
    return statement.group_by(rows.agent_name)


def _rate(flag: Any) -> Any:
    return sa.func.avg(sa.case((flag, 1.0), else_=0.0).cast(Double()), type_=Double())
