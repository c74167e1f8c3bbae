"""Who is best: ratings, leaderboards and ranks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased, joinedload

from aragora_db.errors import InvalidValue
from aragora_db.models import EloDomainRating, EloMatch, EloRating
from aragora_db.stores import checks
from aragora_db.stores.elo.base import Part
from aragora_db.stores.paging import MAX_LIMIT, Keyset, Page
from aragora_db.types import Double, Key

__all__ = ["EloStats", "Leaderboards", "Neighbours", "Standing"]


class Standing(NamedTuple):
    """A line of a leaderboard.

    Without a rank: on the first page it is the place in the list, and `Leaderboards.rank` counts anybody's.

    Attributes:
        agent_name: the agent.
        elo: the rating that the leaderboard is ordered by: overall, or of one domain.
        wins: matches won, in all domains; as are the others.
        losses: matches that another agent won.
        draws: matches without a winner.
        debates_count: all matches.
    """

    agent_name: str
    elo: float
    wins: int
    losses: int
    draws: int
    debates_count: int


@dataclass(frozen=True)
class Neighbours:
    """An agent among those who stand next to it.

    Attributes:
        above: those before it, best first, so that the last one is next to the agent.
        own: the agent.
        below: those after it, best first.
    """

    above: tuple[Standing, ...]
    own: Standing
    below: tuple[Standing, ...]


class EloStats(NamedTuple):
    """All ratings in a few numbers.

    Attributes:
        agents: rated agents.
        average: mean overall rating; None without agents, as are the next two.
        highest: the best overall rating.
        lowest: the worst overall rating.
        matches: recorded matches.
    """

    agents: int
    average: float | None
    highest: float | None
    lowest: float | None
    matches: int


_RECORD = (EloRating.wins, EloRating.losses, EloRating.draws, EloRating.debates_count)
_STANDINGS: Any = sa.select(EloRating.agent_name, EloRating.elo, *_RECORD)
_OVERALL = Keyset(EloRating.elo.desc(), EloRating.agent_name)
_DOMAIN_STANDINGS: Any = sa.select(EloDomainRating.agent_name, EloDomainRating.elo, *_RECORD).join(
    EloRating, EloRating.agent_name == EloDomainRating.agent_name
)
_IN_DOMAIN = Keyset(EloDomainRating.elo.desc(), EloDomainRating.agent_name)

_AGENT = sa.bindparam("agent", type_=Key())
_ME = aliased(EloRating)
_MINE = sa.select(_ME.elo).where(_ME.agent_name == _AGENT).scalar_subquery()


def _count(*conditions: Any) -> Any:
    return sa.select(sa.func.count()).select_from(EloRating).where(*conditions).scalar_subquery()


_ELO = sa.bindparam("elo", type_=Double())
# Two ranges of one index, instead of one with an OR that each row would have to be asked.
_RANK = sa.select(_count(EloRating.elo > _ELO) + _count(EloRating.elo == _ELO, EloRating.agent_name < _AGENT) + 1)
# A statement of its own: with a rating that PostgreSQL has yet to look up it plans for a third of the table, and reads
# all of it in parallel to count the first ten.
_OWN = sa.select(EloRating.elo).where(EloRating.agent_name == _AGENT)


def _nearest(bound: Any, tied: Any, order: tuple[Any, Any], limit: str) -> Any:
    """The agents next to the rating on one side, nearest first."""
    statement = _STANDINGS.where(bound, sa.or_(EloRating.elo != _MINE, tied)).order_by(*order)
    return sa.select(statement.limit(sa.bindparam(limit, type_=sa.Integer())).subquery(limit))


_NEIGHBOURS = sa.union_all(
    _nearest(
        EloRating.elo >= _MINE, EloRating.agent_name < _AGENT, (EloRating.elo, EloRating.agent_name.desc()), "above"
    ),
    _nearest(
        EloRating.elo <= _MINE,
        EloRating.agent_name >= _AGENT,
        (EloRating.elo.desc(), EloRating.agent_name),
        "own_and_below",
    ),
)

_STATS = sa.select(
    sa.func.count(),
    sa.func.avg(EloRating.elo, type_=Double()),
    sa.func.max(EloRating.elo),
    sa.func.min(EloRating.elo),
    sa.select(sa.func.count()).select_from(EloMatch).scalar_subquery(),
).select_from(EloRating)


class Leaderboards(Part):
    """Ratings in order: best first, equal ones by name, so that every list is the same every time.

    A name that no column could hold (over 1,024 bytes, NUL) raises `InvalidValue` everywhere.
    """

    def rating(self, agent: str) -> EloRating | None:
        """An agent's rating with its domains, or None for an agent that has none yet.

        Nothing is created by looking (Aragora makes an agent up with 1500). One statement.

        Args:
            agent: the agent.
        """
        return self.ratings([agent]).get(agent)

    def ratings(self, agents: Iterable[str]) -> dict[str, EloRating]:
        """Several agents' ratings with their domains, by name, in the order given; those without one are left out.

        One statement.

        Args:
            agents: the agents, at most 10,000.

        Raises:
            InvalidValue: too many agents.
        """
        names = list(dict.fromkeys(agents))
        if not names:
            return {}
        if len(names) > MAX_LIMIT:
            raise InvalidValue(f"agents names {len(names)}; ask for at most {MAX_LIMIT} at once")
        statement = sa.select(EloRating).where(EloRating.agent_name.in_(names))
        # Matches and events change ratings past the session's objects.
        statement = statement.options(joinedload(EloRating.domain_ratings)).execution_options(populate_existing=True)
        found = {rating.agent_name: rating for rating in self._session.scalars(statement).unique()}
        return {name: found[name] for name in names if name in found}

    def leaderboard(self, limit: int = 50, after: str | None = None) -> Page[Standing]:
        """Agents by overall rating, best first, equal ones by name.

        Args:
            limit: agents per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return _OVERALL.page(self._session, _STANDINGS, limit=limit, after=after, read=_standing, key=_place)

    def domain_leaderboard(self, domain: str, limit: int = 50, after: str | None = None) -> Page[Standing]:
        """Agents by their rating in one domain, best first, equal ones by name.

        Only agents that were rated in it. Aragora lists all, with the overall rating for those without one in the
        domain (ranking/leaderboard_engine.py:111), which ranks agents by debates about something else.

        Args:
            domain: the domain.
            limit: agents per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: as for `leaderboard`.
        """
        statement = _DOMAIN_STANDINGS.where(EloDomainRating.domain == domain)
        return _IN_DOMAIN.page(self._session, statement, limit=limit, after=after, read=_standing, key=_place)

    def rank(self, agent: str) -> int | None:
        """An agent's place on the leaderboard, from 1; None for an agent without a rating.

        Counts those before it in an index: the cost grows with the rank. Two statements.

        Args:
            agent: the agent.
        """
        elo = self._session.scalar(_OWN, {"agent": agent})
        if elo is None:
            return None
        return self._session.scalar(_RANK, {"agent": agent, "elo": elo})

    def neighbours(self, agent: str, above: int = 3, below: int = 3) -> Neighbours | None:
        """The agents next to one on the leaderboard; None for an agent without a rating.

        Two short ranges of an index, at any rank.

        Args:
            agent: the agent.
            above: how many of those before it.
            below: how many of those after it.

        Raises:
            InvalidValue: a number is negative, or more than 10,000.
        """
        for argument, number in (("above", above), ("below", below)):
            if checks.count(argument, number) > MAX_LIMIT:
                raise InvalidValue(f"{argument} is {number}; ask for at most {MAX_LIMIT} agents")
        rows = self._session.execute(_NEIGHBOURS, {"agent": agent, "above": above, "own_and_below": below + 1})
        standings = sorted(map(_standing, rows), key=lambda standing: (-standing.elo, standing.agent_name))
        for place, standing in enumerate(standings):
            if standing.agent_name == agent:
                return Neighbours(tuple(standings[:place]), standing, tuple(standings[place + 1 :]))
        return None

    def stats(self) -> EloStats:
        """How many agents and matches there are, and how the ratings spread. Reads every rating."""
        return EloStats(*self._session.execute(_STATS).one())


def _standing(row: Any) -> Standing:
    return Standing(*row)


def _place(standing: Standing) -> tuple[Any, ...]:
    return standing.elo, standing.agent_name
