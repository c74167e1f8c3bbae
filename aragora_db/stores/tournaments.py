"""Tournaments: created with their matches, played once, over when nothing is left to play."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Tournament, TournamentEvent, TournamentMatch, TournamentStatus
from aragora_db.rules import tournaments as rules
from aragora_db.rules.tournaments import BracketType, TournamentStanding
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page
from aragora_db.stores.rows import check_rows

__all__ = ["BracketType", "TournamentStanding", "TournamentStore"]

_OVER = (TournamentStatus.COMPLETED, TournamentStatus.CANCELLED)

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


class TournamentStore(Store):
    """Tournaments, their matches and what happened in them; see `Store` for its arguments.

    A verb that changes a tournament locks its row first: one change after the other, in whatever process.
    """

    def create(
        self,
        name: str,
        participants: Sequence[str],
        bracket_type: BracketType | str = BracketType.ROUND_ROBIN,
        tournament_id: str | None = None,
        *,
        created_at: datetime | None = None,
    ) -> Tournament:
        """Create a tournament with its matches: all of a round robin, the first round of a single elimination.

        Creating it again under the same id, with the same content, changes nothing.

        Source: Aragora 2.8.0, ranking/tournaments.py; what was mended stands in `aragora_db.rules.tournaments`. Matches
        have ids of 32 hexadecimal digits; of Aragora's 8, two are alike among some ten thousands.

        Args:
            name: what it is called.
            participants: 2 to 128 agents, each once; their order decides who meets whom when.
            bracket_type: ``round_robin`` or ``single_elimination``.
            tournament_id: its id; ``tournament_`` and 32 hexadecimal digits by default.
            created_at: when; now by default.

        Raises:
            InvalidValue: a name is blank, too long or there twice, there are too few participants or too many, or
                nobody knows the bracket type. Nothing was written.
            ConflictError: there is another tournament with this id.
        """
        kind = checks.member("bracket_type", BracketType, bracket_type)
        agents = checks.keys("participants", participants)
        if not rules.MIN_PARTICIPANTS <= len(agents) <= rules.MAX_PARTICIPANTS:
            raise InvalidValue(
                f"participants names {len(agents)} agents; a tournament takes "
                f"{rules.MIN_PARTICIPANTS} to {rules.MAX_PARTICIPANTS}"
            )
        instant = self._now(created_at, "created_at")
        rounds = _first_rounds(kind, agents)
        total = len(rounds) if kind is BracketType.ROUND_ROBIN else rules.elimination_rounds(len(agents))
        row = {
            "tournament_id": f"tournament_{uuid4().hex}"
            if tournament_id is None
            else checks.key("tournament_id", tournament_id),
            "name": checks.name("name", name),
            "bracket_type": kind.value,
            "participants": agents,
            "total_rounds": total,
            "created_at": instant,
        }
        check_rows(self.session, Tournament, [row])
        self.session.flush()
        statement = insert(self.session, Tournament).values(**row).on_conflict_do_nothing().returning(Tournament)
        created = self.session.scalars(statement).one_or_none()
        if created is None:
            return _same_tournament(self.session, row)
        _add_matches(self.session, created.tournament_id, enumerate(rounds, 1), instant)
        content = {"name": created.name, "participants": agents, "bracket_type": kind.value}
        _log_events(self.session, created.tournament_id, instant, [("created", content)])
        return created

    def record_result(
        self,
        match_id: str,
        score1: float,
        score2: float,
        debate_id: str | None = None,
        *,
        completed_at: datetime | None = None,
    ) -> TournamentMatch:
        """Record how a match ended; who scored strictly more has won.

        A match is recorded once: the same scores again change nothing, also when another process recorded them a moment
        ago. With its first result a tournament is in progress. When the last match of a round is over,
        `rounds_completed` grows, and a single elimination gets its next round; when nothing is left to play, the
        tournament is completed. Aragora needs another call for that, advance_round; two of them make a round twice.

        Ratings do not move here. That is the business of `EloStore.record_match`, and the debate's id links the two:

            EloStore(session).record_match("d1", ["a", "b"], {"a": 1.0, "b": 0.4}, k_multipliers={"a": 1.5, "b": 1.5})
            TournamentStore(session).record_result(match_id, 1.0, 0.4, debate_id="d1")

        Factors of 1.5 are what Aragora means to use for tournaments; it passes them as a confidence weight, which is
        brought down to 1. Predictions are resolved by `CalibrationStore.resolve_predictions`, once there is a winner.

        Args:
            match_id: the match.
            score1: what `agent1` scored, 0 or more.
            score2: what `agent2` scored, 0 or more.
            debate_id: the debate in which they met.
            completed_at: when; now by default.

        Raises:
            InvalidValue: a score is negative or not finite, or a draw in a single elimination. Nothing was written.
            NotFoundError: there is no such match.
            ConflictError: the match has another result, or the tournament is over, or its bracket was made elsewhere
                and nobody can tell who comes next.
        """
        id_, instant = checks.key("match_id", match_id), self._now(completed_at, "completed_at")
        scores = _score("score1", score1), _score("score2", score2)
        debate = None if debate_id is None else checks.key("debate_id", debate_id)
        self.session.flush()
        of_match = sa.select(TournamentMatch.tournament_id).where(TournamentMatch.match_id == id_)
        tournament = _lock_tournament(self.session, Tournament.tournament_id == of_match.scalar_subquery())
        if tournament is None:
            raise NotFoundError(f"there is no match {id_}; look for its id with TournamentStore.matches")
        match, round_over, all_over = _open_match(self.session, id_)
        if match.completed_at is not None:
            if (match.score1, match.score2, match.debate_id) != (*scores, debate):
                raise ConflictError(
                    f"match {id_} ended {match.score1} to {match.score2} (debate {match.debate_id}); "
                    "a result is never changed: look at it with TournamentStore.matches"
                )
            return match
        kind = _playable(tournament)
        winner = rules.match_winner(match.agent1, match.agent2, *scores)
        if kind is BracketType.SINGLE_ELIMINATION and winner is None:
            raise InvalidValue(
                f"score1 and score2 are both {scores[0]}, and a single elimination has no draws; decide match {id_}"
            )
        entrants: list[str] = []
        if round_over and kind is BracketType.SINGLE_ELIMINATION:
            winners = _round_winners(self.session, match) | {match.bracket_position: winner}
            entrants = rules.elimination_entrants(tournament.participants, match.round_num, winners)
            all_over = len(entrants) == 1
        match.winner, (match.score1, match.score2) = winner, scores
        match.debate_id, match.completed_at = debate, instant
        result = {"match_id": id_, "winner": winner, "score1": scores[0], "score2": scores[1], "debate_id": debate}
        events: list[tuple[str, dict[str, Any]]] = [("match_completed", result)]
        tournament.status = TournamentStatus.IN_PROGRESS
        if round_over:
            tournament.rounds_completed += 1
            events += _after_round(self.session, tournament, match, entrants, instant, all_over=all_over)
        self.session.flush()
        _log_events(self.session, tournament.tournament_id, instant, events)
        return match

    def cancel(self, tournament_id: str, *, timestamp: datetime | None = None) -> bool:
        """Call a tournament off; results that were recorded stay.

        Args:
            tournament_id: the tournament.
            timestamp: when, in the tournament's events; now by default.

        Returns:
            Whether this call did it; False when it was cancelled before.

        Raises:
            NotFoundError: there is no such tournament.
            ConflictError: it is completed.
        """
        id_, instant = checks.key("tournament_id", tournament_id), self._now(timestamp, "timestamp")
        self.session.flush()
        tournament = _lock_tournament(self.session, Tournament.tournament_id == id_)
        if tournament is None:
            raise NotFoundError(f"there is no tournament {id_}; look for its id with TournamentStore.list")
        if tournament.status is TournamentStatus.COMPLETED:
            raise ConflictError(f"tournament {id_} is completed; there is nothing left to cancel")
        if tournament.status is TournamentStatus.CANCELLED:
            return False
        tournament.status = TournamentStatus.CANCELLED
        self.session.flush()
        _log_events(self.session, id_, instant, [("cancelled", {})])
        return True

    def get(self, tournament_id: str) -> Tournament | None:
        """Return a tournament, or None."""
        return self._get(Tournament, tournament_id)

    def get_many(self, tournament_ids: Iterable[str]) -> dict[str, Tournament]:
        """Return several tournaments by id, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 ids, or one text instead of ids.
        """
        return self._get_many(Tournament, "tournament_ids", tournament_ids)

    def list(
        self,
        *,
        status: TournamentStatus | str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Tournament]:
        """Return tournaments, newest first.

        Args:
            status: only tournaments that have come this far.
            limit: tournaments per page.
            after: ``next`` of the page before, asked with the same status.

        Raises:
            InvalidValue: the limit is out of range, there is no such status, or the token is none of this listing.
        """
        statement: Any = sa.select(Tournament)
        if status is not None:
            statement = statement.where(Tournament.status == checks.member("status", TournamentStatus, status))
        return self._page(_NEWEST, statement, limit=limit, after=after)

    def matches(
        self,
        tournament_id: str,
        *,
        completed: bool | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[TournamentMatch]:
        """Return a tournament's matches, round by round.

        Args:
            tournament_id: the tournament.
            completed: True for those that were played, False for those that were not, None for all.
            limit: matches per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        statement = _matches(completed).where(TournamentMatch.tournament_id == tournament_id)
        return self._page(_IN_ORDER, statement, limit=limit, after=after)

    def agent_matches(
        self,
        agent_name: str,
        *,
        completed: bool | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[TournamentMatch]:
        """Return an agent's matches in all tournaments: those that were created last first, and round by round.

        Two indexes find them; they are then sorted.

        Args:
            agent_name: who plays.
            completed: True for those that were played, False for those that were not, None for all.
            limit: matches per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        plays = sa.or_(TournamentMatch.agent1 == agent_name, TournamentMatch.agent2 == agent_name)
        return self._page(_LATEST, _matches(completed).where(plays), limit=limit, after=after)

    def standings(self, tournament_id: str) -> Page[TournamentStanding]:
        """Return all participants, at most 128, most points first (`aragora_db.rules.tournaments.standings`).

        Args:
            tournament_id: the tournament.

        Raises:
            NotFoundError: there is no such tournament.
        """
        participants = self.session.scalar(
            sa.select(Tournament.participants).where(Tournament.tournament_id == tournament_id)
        )
        if participants is None:
            raise NotFoundError(f"there is no tournament {tournament_id}; look for its id with TournamentStore.list")
        # In order, because sums of scores depend on it in their last bits.
        results = self.session.execute(
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
        return Page(tuple(rules.standings(participants, (rules.Result(*row) for row in results))), None)

    def events(
        self, tournament_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[TournamentEvent]:
        """Return what happened, in order: created, match_completed, round_advanced, completed, cancelled.

        Args:
            tournament_id: the tournament.
            limit: events per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        statement = sa.select(TournamentEvent).where(TournamentEvent.tournament_id == tournament_id)
        return self._page(_AS_IT_HAPPENED, statement, limit=limit, after=after)


def _score(argument: str, value: Any) -> float:
    number = checks.finite(argument, value)
    if number < 0:
        raise InvalidValue(f"{argument} is {value!r}; a score is 0 or more")
    return number


def _first_rounds(kind: BracketType, agents: Sequence[str]) -> list[list[tuple[str, ...]]]:
    if kind is BracketType.ROUND_ROBIN:
        return [list(pairs) for pairs in rules.round_robin(agents)]
    return [rules.elimination_first_round(agents)]


def _playable(tournament: Tournament) -> BracketType:
    if tournament.status in _OVER:
        raise ConflictError(f"tournament {tournament.tournament_id} is {tournament.status}; nothing is played any more")
    try:
        return BracketType(tournament.bracket_type)
    except ValueError:
        raise ConflictError(
            f"tournament {tournament.tournament_id} is a {tournament.bracket_type}; "
            f"only {' and '.join(BracketType)} can be played here"
        ) from None


def _after_round(
    session: Session,
    tournament: Tournament,
    match: TournamentMatch,
    entrants: Sequence[str],
    now: datetime,
    *,
    all_over: bool,
) -> list[tuple[str, dict[str, Any]]]:
    """End the tournament, or make the next round of an elimination; what there is to tell about it."""
    if all_over:
        tournament.status = TournamentStatus.COMPLETED
        # Those that Aragora made have all their matches in one round of many.
        tournament.rounds_completed = tournament.total_rounds
        return [("completed", {"final_winner": entrants[0]} if entrants else {})]
    if not entrants:
        return []
    number = match.round_num + 1
    pairs = list(zip(entrants[::2], entrants[1::2], strict=True))
    _add_matches(session, tournament.tournament_id, [(number, pairs)], now)
    return [("round_advanced", {"from_round": match.round_num, "to_round": number, "matches_created": len(pairs)})]


def _matches(completed: bool | None) -> Any:
    statement = sa.select(TournamentMatch)
    if completed is None:
        return statement
    played = TournamentMatch.completed_at.is_not(None)
    return statement.where(played if completed else sa.not_(played))


def _lock_tournament(session: Session, condition: Any) -> Tournament | None:
    """The tournament as it is now, held until the transaction ends."""
    return session.scalars(
        sa.select(Tournament).where(condition).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()


def _open_match(session: Session, match_id: str) -> tuple[TournamentMatch, bool, bool]:
    """The match, whether its round is over with it, and whether all matches are."""
    other = aliased(TournamentMatch)
    left = sa.select(other.match_id).where(
        other.tournament_id == TournamentMatch.tournament_id,
        other.match_id != TournamentMatch.match_id,
        other.completed_at.is_(None),
    )
    row = session.execute(
        sa.select(TournamentMatch, ~left.where(other.round_num == TournamentMatch.round_num).exists(), ~left.exists())
        .where(TournamentMatch.match_id == match_id)
        .execution_options(populate_existing=True)
    ).one()
    return row[0], row[1], row[2]


def _round_winners(session: Session, match: TournamentMatch) -> dict[int, str | None]:
    """The winners of the match's round, by position."""
    rows = session.execute(
        sa.select(TournamentMatch.bracket_position, TournamentMatch.winner).where(
            TournamentMatch.tournament_id == match.tournament_id, TournamentMatch.round_num == match.round_num
        )
    )
    return {int(position): winner for position, winner in rows}


def _add_matches(
    session: Session, tournament_id: str, rounds: Iterable[tuple[int, Sequence[tuple[str, ...]]]], now: datetime
) -> None:
    """Insert the matches of rounds, each with its number; a slot of one is no match, but has a position."""
    rows = [
        {
            "match_id": f"match_{uuid4().hex}",
            "tournament_id": tournament_id,
            "round_num": number,
            "agent1": slot[0],
            "agent2": slot[1],
            "bracket_position": position,
            "created_at": now,
        }
        for number, slots in rounds
        for position, slot in enumerate(slots)
        if len(slot) > 1
    ]
    session.execute(sa.insert(TournamentMatch), rows)


def _log_events(
    session: Session, tournament_id: str, now: datetime, events: Sequence[tuple[str, dict[str, Any]]]
) -> None:
    """Write down what happened. The ids are in order, because several events may have one time."""
    tick = time.time_ns()
    rows = [
        {
            "entry_id": f"evt_{tick + number:016x}{uuid4().hex[:12]}",
            "tournament_id": tournament_id,
            "event_type": kind,
            "timestamp": now,
            "details": details,
        }
        for number, (kind, details) in enumerate(events)
    ]
    session.execute(sa.insert(TournamentEvent), rows)


def _same_tournament(session: Session, row: dict[str, Any]) -> Tournament:
    """The tournament that is there, if it is this one."""
    found = session.scalars(
        sa.select(Tournament)
        .where(Tournament.tournament_id == row["tournament_id"])
        .execution_options(populate_existing=True)
    ).one()
    content = ("name", "bracket_type", "participants")
    if any(getattr(found, name) != row[name] for name in content):
        raise ConflictError(
            f"tournament {row['tournament_id']} is there with other content ({found.name}); "
            "choose another id, or let the store choose one"
        )
    return found
