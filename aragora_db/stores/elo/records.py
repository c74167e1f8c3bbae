"""What happened: ratings over time, matches, and how two agents fared against each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased, selectinload

from aragora_db.errors import InvalidValue
from aragora_db.models import EloHeadToHead, EloHistory, EloMatch, EloMatchParticipant
from aragora_db.sql.text import starts_with
from aragora_db.stores import checks
from aragora_db.stores.elo.base import Part
from aragora_db.stores.paging import Keyset, Page

__all__ = ["HeadToHead", "HistoryEntry", "Records"]


class HistoryEntry(NamedTuple):
    """An agent's overall rating after a match or another event.

    Attributes:
        id: grows with every entry.
        agent_name: the agent.
        elo: the overall rating after it.
        debate_id: the match's debate, or the tag of another event, such as ``verification:law:2v0d``; see
            `aragora_db.rules.elo_events`.
        created_at: when.
    """

    id: int
    agent_name: str
    elo: float
    debate_id: str | None
    created_at: datetime


class HeadToHead(NamedTuple):
    """How an agent fared in matches with another one.

    Attributes:
        matches: matches in which both took part.
        wins: how many of them the agent won.
        losses: how many of them the other one won.
        draws: how many of them nobody won. What is left was won by a third agent.
    """

    matches: int
    wins: int
    losses: int
    draws: int


_HISTORY = sa.select(EloHistory.id, EloHistory.agent_name, EloHistory.elo, EloHistory.debate_id, EloHistory.created_at)
_TAG: Any = EloHistory.debate_id
_NEWEST = Keyset(EloHistory.created_at.desc(), EloHistory.id.desc())

_MATCHES = sa.select(EloMatch).options(selectinload(EloMatch.participants))
_LATEST = Keyset(EloMatch.created_at.desc(), EloMatch.id.desc())
_LATEST_OF_AGENT = Keyset(EloMatchParticipant.match_id.desc())


class Records(Part):
    """Reading what was recorded; nothing here writes.

    A name that no column could hold (over 1,024 bytes, NUL) raises `InvalidValue` everywhere.
    """

    def history(self, agent: str, limit: int = 50, after: str | None = None) -> Page[HistoryEntry]:
        """An agent's overall rating over time, newest first, entries of one instant by id.

        Args:
            agent: the agent.
            limit: entries per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return self._entries(_HISTORY.where(EloHistory.agent_name == agent), limit, after)

    def events(
        self, prefix: str, agent: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[HistoryEntry]:
        """Entries of the history whose tag begins with a text, newest first.

        An index finds them; those of an agent come from the agent's own history.

        Args:
            prefix: such as ``verification:``; `aragora_db.rules.elo_events` has one for each kind of event. Case
                counts, and no character is a wildcard.
            agent: only this agent's.
            limit: entries per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the prefix is blank, the limit out of range, or the token none of this listing.
        """
        statement = _HISTORY.where(starts_with(_TAG, checks.name("prefix", prefix)))
        if agent is not None:
            statement = statement.where(EloHistory.agent_name == agent)
        return self._entries(statement, limit, after)

    def head_to_head(self, agent: str, other: str) -> HeadToHead:
        """How an agent fared against another one; all zero when they never met.

        One row by its key, however many matches there are. Names are exact: Aragora searches the participants as text
        and finds gpt-4 in the matches of gpt-4o, and it counts the wins of third agents as draws
        (ranking/leaderboard_engine.py).

        Args:
            agent: whose wins are wins.
            other: the other one.

        Raises:
            InvalidValue: both are the same agent.
        """
        first, second = _two(agent, other)
        a_wins, b_wins = EloHeadToHead.a_wins, EloHeadToHead.b_wins
        wins, losses = (a_wins, b_wins) if agent == first else (b_wins, a_wins)
        row = self._session.execute(
            sa.select(EloHeadToHead.matches, wins, losses, EloHeadToHead.draws).where(
                EloHeadToHead.agent_a == first, EloHeadToHead.agent_b == second
            )
        ).one_or_none()
        return HeadToHead(0, 0, 0, 0) if row is None else HeadToHead(*row)

    def head_to_head_matches(self, agent: str, other: str, limit: int = 50, after: str | None = None) -> Page[EloMatch]:
        """The matches in which two agents met, latest recorded first, with all participants.

        Goes through the first agent's matches in an index: name the one with fewer matches first.

        Args:
            agent: one of them.
            other: the other one.
            limit: matches per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: both are the same agent, the limit is out of range, or the token is none of this listing.
        """
        _two(agent, other)
        opponent = aliased(EloMatchParticipant)
        met = sa.and_(opponent.match_id == EloMatchParticipant.match_id, opponent.agent_name == other)
        return self._of_agent(_MATCHES.join(EloMatch.participants).join(opponent, met), agent, limit, after)

    def recent_matches(
        self, limit: int = 50, after: str | None = None, domain: str | None = None, agent: str | None = None
    ) -> Page[EloMatch]:
        """Matches, latest first, with their participants: two statements for any number of matches.

        Args:
            limit: matches per page.
            after: ``next`` of the page before, asked with the same domain and agent.
            domain: only matches of this domain.
            agent: only matches in which this agent took part. These come in the order in which they were recorded,
                latest first, which an index has; all others by `created_at`, which a caller may have set.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        statement = _MATCHES if domain is None else _MATCHES.where(EloMatch.domain == domain)
        if agent is not None:
            return self._of_agent(statement.join(EloMatch.participants), agent, limit, after)
        return _LATEST.page(
            self._session,
            statement,
            limit=limit,
            after=after,
            read=_match,
            key=lambda match: (match.created_at, match.id),
        )

    def _of_agent(self, statement: Any, agent: str, limit: int, after: str | None) -> Page[EloMatch]:
        return _LATEST_OF_AGENT.page(
            self._session,
            statement.where(EloMatchParticipant.agent_name == agent),
            limit=limit,
            after=after,
            read=_match,
            key=lambda match: (match.id,),
        )

    def _entries(self, statement: Any, limit: int, after: str | None) -> Page[HistoryEntry]:
        return _NEWEST.page(
            self._session,
            statement,
            limit=limit,
            after=after,
            read=lambda row: HistoryEntry(*row),
            key=lambda entry: (entry.created_at, entry.id),
        )


def _match(row: Any) -> EloMatch:
    match: EloMatch = row[0]
    return match


def _two(agent: str, other: str) -> tuple[str, str]:
    """Both names as pairs are stored, the smaller one first."""
    if checks.key("agent", agent) == checks.key("other", other):
        raise InvalidValue(f"agent and other are both {agent!r}; name two agents")
    return min(agent, other), max(agent, other)
