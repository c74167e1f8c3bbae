"""Reading tournaments: lists, matches, standings, events."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from aragora_db.errors import NotFoundError
from aragora_db.models import Tournament, TournamentEvent, TournamentMatch, TournamentStatus
from aragora_db.rules import tournaments as rules
from aragora_db.rules.tournaments import BracketType
from aragora_db.stores import checks
from aragora_db.stores.elo.tournament_play import TournamentPlay
from aragora_db.stores.paging import Keyset, Page

__all__ = ["BracketType", "Tournaments"]

_NEWEST = Keyset(Tournament.created_at.desc(), Tournament.tournament_id.desc())
_IN_ORDER = Keyset(TournamentMatch.round_num, TournamentMatch.bracket_position, TournamentMatch.match_id)
_LATEST = Keyset(
    TournamentMatch.created_at.desc(),
    TournamentMatch.tournament_id,
    TournamentMatch.round_num,
    TournamentMatch.bracket_position,
    TournamentMatch.match_id,
)
_AS_IT_HAPPENED = Keyset(TournamentEvent.timestamp, TournamentEvent.entry_id)


class Tournaments(TournamentPlay):
    """Reading tournaments."""

    def tournament(self, tournament_id: str) -> Tournament | None:
        """A tournament, or None."""
        return self._session.scalars(
            sa.select(Tournament).where(Tournament.tournament_id == tournament_id)
        ).one_or_none()

    def tournaments(
        self, limit: int = 50, after: str | None = None, status: TournamentStatus | str | None = None
    ) -> Page[Tournament]:
        """Tournaments, newest first.

        Args:
            limit: tournaments per page.
            after: ``next`` of the page before, asked with the same status.
            status: only tournaments that have come this far.

        Raises:
            InvalidValue: the limit is out of range, there is no such status, or the token is none of this listing.
        """
        statement: Any = sa.select(Tournament)
        if status is not None:
            statement = statement.where(Tournament.status == checks.member("status", TournamentStatus, status))
        return _NEWEST.page(
            self._session,
            statement,
            limit=limit,
            after=after,
        )

    def tournament_matches(
        self, tournament_id: str, limit: int = 100, after: str | None = None, *, completed: bool | None = None
    ) -> Page[TournamentMatch]:
        """A tournament's matches, round by round.

        Args:
            tournament_id: the tournament.
            limit: matches per page.
            after: ``next`` of the page before.
            completed: only those that were played, or only those that were not.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return _IN_ORDER.page(
            self._session,
            _matches(completed).where(TournamentMatch.tournament_id == tournament_id),
            limit=limit,
            after=after,
        )

    def agent_tournament_matches(
        self, agent: str, limit: int = 50, after: str | None = None, *, completed: bool | None = None
    ) -> Page[TournamentMatch]:
        """An agent's matches in all tournaments: those that were created last first, and round by round.

        Two indexes find them; they are then sorted.

        Args:
            agent: who plays.
            limit: matches per page.
            after: ``next`` of the page before.
            completed: only those that were played, or only those that were not.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return _LATEST.page(
            self._session,
            _matches(completed).where(sa.or_(TournamentMatch.agent1 == agent, TournamentMatch.agent2 == agent)),
            limit=limit,
            after=after,
        )

    def tournament_standings(self, tournament_id: str) -> list[rules.Standing]:
        """How a tournament stands: most points first (`aragora_db.rules.tournaments.standings`).

        Args:
            tournament_id: the tournament.

        Raises:
            NotFoundError: there is no such tournament.
        """
        participants = self._session.scalar(
            sa.select(Tournament.participants).where(Tournament.tournament_id == tournament_id)
        )
        if participants is None:
            raise NotFoundError(f"there is no tournament {tournament_id}; look for its id with EloStore.tournaments")
        # In order, because sums of scores depend on it in their last bits.
        results = self._session.execute(
            sa.select(
                TournamentMatch.agent1,
                TournamentMatch.agent2,
                TournamentMatch.winner,
                TournamentMatch.score1,
                TournamentMatch.score2,
            )
            .where(TournamentMatch.tournament_id == tournament_id, TournamentMatch.completed_at.is_not(None))
            .order_by(TournamentMatch.round_num, TournamentMatch.bracket_position, TournamentMatch.match_id)
        )
        return rules.standings(participants, (rules.Result(*row) for row in results))

    def tournament_events(
        self, tournament_id: str, limit: int = 100, after: str | None = None
    ) -> Page[TournamentEvent]:
        """What happened in a tournament, in order: created, match_completed, round_advanced, completed, cancelled.

        Args:
            tournament_id: the tournament.
            limit: events per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return _AS_IT_HAPPENED.page(
            self._session,
            sa.select(TournamentEvent).where(TournamentEvent.tournament_id == tournament_id),
            limit=limit,
            after=after,
        )


def _matches(completed: bool | None) -> Any:
    statement = sa.select(TournamentMatch)
    if completed is None:
        return statement
    played = TournamentMatch.completed_at.is_not(None)
    return statement.where(played if completed else sa.not_(played))
