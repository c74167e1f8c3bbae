"""How agents treat each other: counted as it happens, judged by `aragora_db.rules.relationships`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from heapq import nsmallest
from typing import Any

import sqlalchemy as sa

from aragora_db.errors import InvalidValue
from aragora_db.models import EloAgentRelationship
from aragora_db.rules.relationships import MIN_SCORE, Metrics, metrics
from aragora_db.sql.bulk import insert_rows
from aragora_db.stores import checks
from aragora_db.stores.elo.base import Part
from aragora_db.stores.elo.changes import forget
from aragora_db.stores.paging import Keyset, Page, check_limit
from aragora_db.stores.rows import check_rows

__all__ = ["Interaction", "Relationship", "Relationships"]


@dataclass(frozen=True)
class Interaction:
    """What two agents did to each other since it was last counted; all counts are added.

    Attributes:
        agent_a: one of them; which one does not matter.
        agent_b: the other one.
        debates: debates with both.
        agreements: debates in which both agreed.
        critiques_a_to_b: critiques by a of b.
        critiques_b_to_a: critiques by b of a.
        accepted_a_to_b: critiques by a that b accepted.
        accepted_b_to_a: critiques by b that a accepted.
        changes_a_after_b: how often a changed its position after b spoke.
        changes_b_after_a: how often b changed its position after a spoke.
        a_wins: wins of a over b.
        b_wins: wins of b over a.
    """

    agent_a: str
    agent_b: str
    debates: int = 0
    agreements: int = 0
    critiques_a_to_b: int = 0
    critiques_b_to_a: int = 0
    accepted_a_to_b: int = 0
    accepted_b_to_a: int = 0
    changes_a_after_b: int = 0
    changes_b_after_a: int = 0
    a_wins: int = 0
    b_wins: int = 0


@dataclass(frozen=True)
class Relationship:
    """What was counted between two agents, seen from the side of one.

    Attributes:
        agent: the one.
        other: the other one.
        debates: debates with both.
        agreements: debates in which both agreed.
        critiques_given: critiques by the agent.
        critiques_received: critiques by the other one.
        accepted_given: critiques by the agent that were accepted.
        accepted_received: critiques by the other one that were accepted.
        changes: how often the agent changed its position after the other one spoke.
        changes_caused: how often the other one changed its position after the agent spoke.
        wins: wins of the agent.
        losses: wins of the other one.
        updated_at: when something was last counted.
    """

    agent: str
    other: str
    debates: int
    agreements: int
    critiques_given: int
    critiques_received: int
    accepted_given: int
    accepted_received: int
    changes: int
    changes_caused: int
    wins: int
    losses: int
    updated_at: datetime

    @cached_property
    def metrics(self) -> Metrics:
        """Rivalry, alliance, and what that makes of them."""
        return metrics(
            debates=self.debates,
            agreements=self.agreements,
            critiques=self.critiques_given + self.critiques_received,
            accepted=self.accepted_given + self.accepted_received,
            wins=self.wins,
            losses=self.losses,
        )


# Each counter seen from a's side and from b's: the fields of `Interaction` and `Relationship`, in their order.
_FROM_A = (
    "debate_count",
    "agreement_count",
    "critique_count_a_to_b",
    "critique_count_b_to_a",
    "critique_accepted_a_to_b",
    "critique_accepted_b_to_a",
    "position_changes_a_after_b",
    "position_changes_b_after_a",
    "a_wins_over_b",
    "b_wins_over_a",
)
_FROM_B = tuple(_FROM_A[i] for i in (0, 1, 3, 2, 5, 4, 7, 6, 9, 8))

_TABLE = EloAgentRelationship.__tablename__
_COLUMNS = {"agent_a": "text", "agent_b": "text", **dict.fromkeys(_FROM_A, "bigint"), "updated_at": "timestamptz"}
_ADD = (
    "ON CONFLICT (agent_a, agent_b) DO UPDATE SET "
    + ", ".join(f"{name} = {_TABLE}.{name} + excluded.{name}" for name in _FROM_A)
    + f", updated_at = CASE WHEN {_TABLE}.updated_at < excluded.updated_at THEN excluded.updated_at "
    f"ELSE {_TABLE}.updated_at END"
)


def _side(agent: str, other: str, fields: Iterable[str]) -> Any:
    """A relationship's columns, seen from one side."""
    names = (agent, other, *fields, "updated_at")
    return sa.select(*(getattr(EloAgentRelationship, name) for name in names))


_AS_A = _side("agent_a", "agent_b", _FROM_A)
_AS_B = _side("agent_b", "agent_a", _FROM_B)


class Relationships(Part):
    """Counting what agents do to each other, and reading it from either side."""

    def update_relationship(
        self,
        agent_a: str,
        agent_b: str,
        debates: int = 0,
        agreements: int = 0,
        critiques_a_to_b: int = 0,
        critiques_b_to_a: int = 0,
        accepted_a_to_b: int = 0,
        accepted_b_to_a: int = 0,
        changes_a_after_b: int = 0,
        changes_b_after_a: int = 0,
        a_wins: int = 0,
        b_wins: int = 0,
        *,
        now: datetime | None = None,
    ) -> None:
        """Add to what is counted between two agents; see `Interaction` for the arguments.

        Counts are added in the database, so that no process undoes another's. Not idempotent: a call that is made
        twice counts twice.

        Raises:
            InvalidValue: both are the same agent, a name is blank or too long, or a count is negative.
        """
        counts = (
            debates,
            agreements,
            critiques_a_to_b,
            critiques_b_to_a,
            accepted_a_to_b,
            accepted_b_to_a,
            changes_a_after_b,
            changes_b_after_a,
            a_wins,
            b_wins,
        )
        self.update_relationships([Interaction(agent_a, agent_b, *counts)], now=now)

    def update_relationships(self, interactions: Iterable[Interaction], *, now: datetime | None = None) -> None:
        """`update_relationship` for many pairs, in one statement; a pair may come several times, in either order.

        Rows are written in the order of their keys, so that two such calls wait for each other and never in a circle.

        Args:
            interactions: what to add.
            now: when; the clock's time by default. The time of a pair only moves forward.

        Raises:
            InvalidValue: as for `update_relationship`. Nothing was written.
        """
        instant = checks.clock("now", now)
        sums: dict[tuple[str, str], list[int]] = {}
        for each in interactions:
            key, counts = _canonical(each)
            known = sums.setdefault(key, [0] * len(counts))
            sums[key] = [total + more for total, more in zip(known, counts, strict=True)]
        rows = [(*key, *counts, instant) for key, counts in sorted(sums.items())]
        if not rows:
            return
        check_rows(self._session, EloAgentRelationship, (dict(zip(_COLUMNS, row, strict=True)) for row in rows))
        self._session.flush()
        insert_rows(self._session, _TABLE, _COLUMNS, rows, _ADD)
        for key in sums:
            forget(self._session, EloAgentRelationship, key)

    def relationship(self, agent: str, other: str) -> Relationship | None:
        """What was counted between two agents, seen from the first one's side; None when nothing was.

        Args:
            agent: whose side.
            other: the other one.
        """
        statement = _AS_A if checks.key("agent", agent) < checks.key("other", other) else _AS_B
        row = self._session.execute(
            statement.where(
                EloAgentRelationship.agent_a == min(agent, other), EloAgentRelationship.agent_b == max(agent, other)
            )
        ).one_or_none()
        return None if row is None else Relationship(*row)

    def relationships(self, agent: str, limit: int = 100, after: str | None = None) -> Page[Relationship]:
        """An agent's relationships, seen from its side; most debates first, then by the other one's name.

        Args:
            agent: the agent.
            limit: relationships per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        both = _both_sides(agent).subquery("both_sides")
        order = Keyset(both.c.debate_count.desc(), both.c.other)
        return order.page(
            self._session,
            sa.select(both),
            limit=limit,
            after=after,
            read=lambda row: Relationship(*row),
            key=lambda found: (found.debates, found.other),
        )

    def rivals(self, agent: str, limit: int = 5, min_score: float = MIN_SCORE) -> list[Relationship]:
        """The agent's strongest rivalries, strongest first, then by name.

        A high score alone makes nobody a rival: `Metrics.kind` says who is. Reads all relationships of the agent
        (Aragora: those of its hundred most frequent partners).

        Args:
            agent: the agent.
            limit: how many.
            min_score: only scores above this one.

        Raises:
            InvalidValue: the limit is out of range, or the score is not between 0 and 1.
        """
        return self._strongest(agent, limit, min_score, lambda found: found.metrics.rivalry)

    def allies(self, agent: str, limit: int = 5, min_score: float = MIN_SCORE) -> list[Relationship]:
        """The agent's strongest alliances; otherwise as `rivals`."""
        return self._strongest(agent, limit, min_score, lambda found: found.metrics.alliance)

    def _strongest(
        self, agent: str, limit: int, min_score: float, score: Callable[[Relationship], float]
    ) -> list[Relationship]:
        check_limit(limit)
        least = checks.share("min_score", min_score)
        found = (Relationship(*row) for row in self._session.execute(_both_sides(agent)))
        strong = (each for each in found if score(each) > least)
        return nsmallest(limit, strong, key=lambda each: (-score(each), each.other))


def _both_sides(agent: str) -> Any:
    as_b = _AS_B.where(EloAgentRelationship.agent_b == agent)
    columns = [column.label("other") if i == 1 else column for i, column in enumerate(_AS_A.selected_columns)]
    return sa.union_all(sa.select(*columns).where(EloAgentRelationship.agent_a == agent), as_b)


def _canonical(given: Interaction) -> tuple[tuple[str, str], list[int]]:
    """The key, the smaller name first, and the counts as they are stored."""
    a, b = checks.key("agent_a", given.agent_a), checks.key("agent_b", given.agent_b)
    if a == b:
        raise InvalidValue(f"agent_a and agent_b are both {a!r}; a relationship takes two agents")
    fields = [name for name in given.__dataclass_fields__ if name not in {"agent_a", "agent_b"}]
    counts: dict[str, int] = dict(
        zip(_FROM_A, (checks.count(name, getattr(given, name)) for name in fields), strict=True)
    )
    return (min(a, b), max(a, b)), [counts[name] for name in (_FROM_A if a < b else _FROM_B)]
