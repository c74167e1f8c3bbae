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
from aragora_db.rules.relationships import MIN_SCORE, RelationshipKind, RelationshipMetrics, metrics
from aragora_db.sql.bulk import add_on_conflict, insert_rows
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page, check_limit
from aragora_db.stores.rows import check_rows, expire_row

__all__ = ["NewInteraction", "Relationship", "RelationshipKind", "RelationshipMetrics", "RelationshipStore"]


@dataclass(frozen=True)
class NewInteraction:
    """What two agents did to each other since it was last counted; the counts are added to the columns of their name.

    Attributes:
        agent_a: one of them; which one does not matter.
        agent_b: the other one.
        debate_count: debates with both.
        agreement_count: debates in which both agreed.
        critique_count_a_to_b: critiques by a of b.
        critique_count_b_to_a: critiques by b of a.
        critique_accepted_a_to_b: critiques by a that b accepted.
        critique_accepted_b_to_a: critiques by b that a accepted.
        position_changes_a_after_b: how often a changed its position after b spoke.
        position_changes_b_after_a: how often b changed its position after a spoke.
        a_wins_over_b: wins of a over b.
        b_wins_over_a: wins of b over a.
    """

    agent_a: str
    agent_b: str
    debate_count: int = 0
    agreement_count: int = 0
    critique_count_a_to_b: int = 0
    critique_count_b_to_a: int = 0
    critique_accepted_a_to_b: int = 0
    critique_accepted_b_to_a: int = 0
    position_changes_a_after_b: int = 0
    position_changes_b_after_a: int = 0
    a_wins_over_b: int = 0
    b_wins_over_a: int = 0


@dataclass(frozen=True)
class Relationship:
    """What was counted between two agents, seen from the side of one.

    Attributes:
        agent_name: the one.
        other_name: the other one.
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

    agent_name: str
    other_name: str
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
    def metrics(self) -> RelationshipMetrics:
        """Rivalry, alliance, and what that makes of them."""
        return metrics(
            debates=self.debates,
            agreements=self.agreements,
            critiques=self.critiques_given + self.critiques_received,
            accepted=self.accepted_given + self.accepted_received,
            wins=self.wins,
            losses=self.losses,
        )


# The counts of `NewInteraction`, as a's side sees them: in the order of the fields of `Relationship`.
_FROM_A = tuple(name for name in NewInteraction.__dataclass_fields__ if name not in {"agent_a", "agent_b"})
# As b's side sees them: all but the first two come in pairs, which change places.
_FROM_B = tuple(_FROM_A[i] for i in (0, 1, 3, 2, 5, 4, 7, 6, 9, 8))

_TABLE = EloAgentRelationship.__tablename__
_COLUMNS = {"agent_a": "text", "agent_b": "text", **dict.fromkeys(_FROM_A, "bigint"), "updated_at": "timestamptz"}
_ADD = add_on_conflict(_TABLE, "agent_a, agent_b", _FROM_A, updated_at=True)


def _side(agent_name: str, other_name: str, fields: Iterable[str]) -> Any:
    """Select a relationship's columns, seen from one side."""
    names = (agent_name, other_name, *fields, "updated_at")
    return sa.select(*(getattr(EloAgentRelationship, name) for name in names))


_AS_A = _side("agent_a", "agent_b", _FROM_A)
_AS_B = _side("agent_b", "agent_a", _FROM_B)


class RelationshipStore(Store):
    """What agents did to each other, counted by pair and read from either side; see `Store` for its arguments."""

    def record(self, interaction: NewInteraction, *, updated_at: datetime | None = None) -> None:
        """Add to what is counted between two agents; see `record_many`."""
        self.record_many([interaction], updated_at=updated_at)

    def record_many(self, interactions: Iterable[NewInteraction], *, updated_at: datetime | None = None) -> None:
        """Add to what is counted between agents, in one statement; a pair may come several times, in either order.

        Counts are added in the database, so that no process undoes another's. Not idempotent: a call that is made
        twice counts twice. Rows are written in the order of their keys, so that two such calls cannot deadlock.

        Args:
            interactions: what to add.
            updated_at: when it happened; now by default. The time of a pair only moves forward.

        Raises:
            InvalidValue: both agents of a pair are the same, a name is blank or too long, or a count is negative.
                Nothing was written.
        """
        instant = self._now(updated_at, "updated_at")
        sums: dict[tuple[str, str], list[int]] = {}
        for each in interactions:
            key, counts = _canonical(each)
            known = sums.setdefault(key, [0] * len(counts))
            sums[key] = [total + more for total, more in zip(known, counts, strict=True)]
        rows = [(*key, *counts, instant) for key, counts in sorted(sums.items())]
        if not rows:
            return
        check_rows(self.session, EloAgentRelationship, (dict(zip(_COLUMNS, row, strict=True)) for row in rows))
        self.session.flush()
        insert_rows(self.session, _TABLE, _COLUMNS, rows, _ADD)
        for key in sums:
            expire_row(self.session, EloAgentRelationship, key)

    def get(self, agent_name: str, other_name: str) -> Relationship | None:
        """Return what was counted between two agents, seen from the first one's side; None when nothing was.

        Args:
            agent_name: whose side.
            other_name: the other one.

        Raises:
            InvalidValue: a name is blank or too long.
        """
        first = checks.key("agent_name", agent_name) < checks.key("other_name", other_name)
        row = self.session.execute(
            (_AS_A if first else _AS_B).where(
                EloAgentRelationship.agent_a == min(agent_name, other_name),
                EloAgentRelationship.agent_b == max(agent_name, other_name),
            )
        ).one_or_none()
        return None if row is None else Relationship(*row)

    def list(self, agent_name: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Relationship]:
        """Return an agent's relationships, seen from its side: most debates first, then by the other one's name.

        Args:
            agent_name: the agent.
            limit: relationships per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        both = _both_sides(agent_name).subquery("both_sides")
        return self._page(
            Keyset(both.c.debate_count.desc(), both.c.other_name),
            sa.select(both),
            limit=limit,
            after=after,
            read=lambda row: Relationship(*row),
            key=lambda found: (found.debates, found.other_name),
        )

    def rivals(
        self, agent_name: str, *, min_score: float = MIN_SCORE, limit: int = DEFAULT_LIMIT
    ) -> Page[Relationship]:
        """Return the agent's strongest rivalries, strongest first, then by name.

        A high score alone makes nobody a rival: `RelationshipMetrics.kind` says who is. Reads all relationships of the
        agent (Aragora: those of its hundred most frequent partners), because the score is computed here; there is no
        next page.

        Args:
            agent_name: the agent.
            min_score: only scores above this one, 0 to 1.
            limit: at most how many.

        Raises:
            InvalidValue: the limit is out of range, or the score is not between 0 and 1.
        """
        return self._strongest(agent_name, min_score, limit, lambda found: found.metrics.rivalry)

    def allies(
        self, agent_name: str, *, min_score: float = MIN_SCORE, limit: int = DEFAULT_LIMIT
    ) -> Page[Relationship]:
        """Return the agent's strongest alliances; otherwise as `rivals`."""
        return self._strongest(agent_name, min_score, limit, lambda found: found.metrics.alliance)

    def _strongest(
        self, agent_name: str, min_score: float, limit: int, score: Callable[[Relationship], float]
    ) -> Page[Relationship]:
        check_limit(limit)
        least = checks.share("min_score", min_score)
        found = (Relationship(*row) for row in self.session.execute(_both_sides(agent_name)))
        strong = (each for each in found if score(each) > least)
        return Page(tuple(nsmallest(limit, strong, key=lambda each: (-score(each), each.other_name))), None)


def _both_sides(agent_name: str) -> Any:
    as_b = _AS_B.where(EloAgentRelationship.agent_b == agent_name)
    columns = [column.label("other_name") if i == 1 else column for i, column in enumerate(_AS_A.selected_columns)]
    return sa.union_all(sa.select(*columns).where(EloAgentRelationship.agent_a == agent_name), as_b)


def _canonical(given: NewInteraction) -> tuple[tuple[str, str], list[int]]:
    """Return the key, the smaller name first, and the counts as they are stored."""
    a, b = checks.key("agent_a", given.agent_a), checks.key("agent_b", given.agent_b)
    if a == b:
        raise InvalidValue(f"agent_a and agent_b are both {a!r}; a relationship takes two agents")
    counts = {name: checks.count(name, getattr(given, name)) for name in _FROM_A}
    return (min(a, b), max(a, b)), [counts[name] for name in (_FROM_A if a < b else _FROM_B)]
