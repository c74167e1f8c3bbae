"""Tournaments: created with their matches, played once, over when nothing is left to play."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Tournament, TournamentMatch, TournamentStatus
from aragora_db.rules import tournaments as rules
from aragora_db.rules.tournaments import BracketType
from aragora_db.stores import checks
from aragora_db.stores.elo.base import Part
from aragora_db.stores.elo.tournament_rows import (
    add_matches,
    lock_tournament,
    log_events,
    open_match,
    round_winners,
    same_tournament,
)
from aragora_db.stores.rows import check_rows

__all__ = ["TournamentPlay"]

_OVER = (TournamentStatus.COMPLETED, TournamentStatus.CANCELLED)


class TournamentPlay(Part):
    """What changes a tournament locks its row first: one change after the other, whoever makes it."""

    def create_tournament(
        self,
        name: str,
        participants: Sequence[str],
        bracket_type: BracketType | str = BracketType.ROUND_ROBIN,
        tournament_id: str | None = None,
        *,
        now: datetime | None = None,
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
            now: when; the clock's time by default.

        Raises:
            InvalidValue: a name is blank, too long or there twice, there are too few participants or too many, or
                nobody knows the bracket type. Nothing was written.
            ConflictError: there is another tournament with this id.
        """
        kind = checks.member("bracket_type", BracketType, bracket_type)
        agents = [checks.key("participants", each) for each in checks.names("participants", participants)]
        if not rules.MIN_PARTICIPANTS <= len(agents) <= rules.MAX_PARTICIPANTS:
            raise InvalidValue(
                f"participants names {len(agents)} agents; a tournament takes "
                f"{rules.MIN_PARTICIPANTS} to {rules.MAX_PARTICIPANTS}"
            )
        instant = checks.clock("now", now)
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
        check_rows(self._session, Tournament, [row])
        self._session.flush()
        statement = insert(self._session, Tournament).values(**row).on_conflict_do_nothing().returning(Tournament)
        created = self._session.scalars(statement).one_or_none()
        if created is None:
            return same_tournament(self._session, row)
        add_matches(self._session, created.tournament_id, enumerate(rounds, 1), instant)
        content = {"name": created.name, "participants": agents, "bracket_type": kind.value}
        log_events(self._session, created.tournament_id, instant, [("created", content)])
        return created

    def record_match_result(
        self, match_id: str, score1: float, score2: float, debate_id: str | None = None, *, now: datetime | None = None
    ) -> TournamentMatch:
        """Record how a match ended; who scored strictly more has won.

        A match is recorded once: the same scores again change nothing, also when another process recorded them a moment
        ago. With its first result a tournament is in progress. When the last match of a round is over,
        `rounds_completed` grows, and a single elimination gets its next round; when nothing is left to play, the
        tournament is completed. Aragora needs another call for that, advance_round; two of them make a round twice.

        Ratings do not move here. That is the business of `EloStore.record_match`, and the debate's id links the two:

            store.record_match("d1", ["a", "b"], {"a": 1.0, "b": 0.4}, k_multipliers={"a": 1.5, "b": 1.5})
            store.record_match_result(match_id, 1.0, 0.4, debate_id="d1")

        Factors of 1.5 are what Aragora means to use for tournaments; it passes them as a confidence weight, which is
        brought down to 1. Predictions are resolved by `EloStore.resolve_predictions`, once there is a winner.

        Args:
            match_id: the match.
            score1: what `agent1` scored, 0 or more.
            score2: what `agent2` scored, 0 or more.
            debate_id: the debate in which they met.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: a score is negative or not finite, or a draw in a single elimination. Nothing was written.
            NotFoundError: there is no such match.
            ConflictError: the match has another result, or the tournament is over, or its bracket was made elsewhere
                and nobody can tell who comes next.
        """
        id_, instant = checks.key("match_id", match_id), checks.clock("now", now)
        scores = _score("score1", score1), _score("score2", score2)
        debate = None if debate_id is None else checks.key("debate_id", debate_id)
        self._session.flush()
        of_match = sa.select(TournamentMatch.tournament_id).where(TournamentMatch.match_id == id_)
        tournament = lock_tournament(self._session, Tournament.tournament_id == of_match.scalar_subquery())
        if tournament is None:
            raise NotFoundError(f"there is no match {id_}; look for its id with EloStore.tournament_matches")
        match, round_over, all_over = open_match(self._session, id_)
        if match.completed_at is not None:
            if (match.score1, match.score2, match.debate_id) != (*scores, debate):
                raise ConflictError(
                    f"match {id_} ended {match.score1} to {match.score2} (debate {match.debate_id}); "
                    "a result is never changed: look at it with EloStore.tournament_matches"
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
            winners = round_winners(self._session, match) | {match.bracket_position: winner}
            entrants = rules.elimination_entrants(tournament.participants, match.round_num, winners)
            all_over = len(entrants) == 1
        match.winner, (match.score1, match.score2) = winner, scores
        match.debate_id, match.completed_at = debate, instant
        result = {"match_id": id_, "winner": winner, "score1": scores[0], "score2": scores[1], "debate_id": debate}
        events: list[tuple[str, dict[str, Any]]] = [("match_completed", result)]
        tournament.status = TournamentStatus.IN_PROGRESS
        if round_over:
            tournament.rounds_completed += 1
            events += _after_round(self._session, tournament, match, entrants, instant, all_over=all_over)
        self._session.flush()
        log_events(self._session, tournament.tournament_id, instant, events)
        return match

    def cancel_tournament(self, tournament_id: str, *, now: datetime | None = None) -> bool:
        """Call a tournament off; results that were recorded stay.

        Args:
            tournament_id: the tournament.
            now: when; the clock's time by default.

        Returns:
            Whether this call did it; False when it was cancelled before.

        Raises:
            NotFoundError: there is no such tournament.
            ConflictError: it is completed.
        """
        id_, instant = checks.key("tournament_id", tournament_id), checks.clock("now", now)
        self._session.flush()
        tournament = lock_tournament(self._session, Tournament.tournament_id == id_)
        if tournament is None:
            raise NotFoundError(f"there is no tournament {id_}; look for its id with EloStore.tournaments")
        if tournament.status is TournamentStatus.COMPLETED:
            raise ConflictError(f"tournament {id_} is completed; there is nothing left to cancel")
        if tournament.status is TournamentStatus.CANCELLED:
            return False
        tournament.status = TournamentStatus.CANCELLED
        self._session.flush()
        log_events(self._session, id_, instant, [("cancelled", {})])
        return True


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
    add_matches(session, tournament.tournament_id, [(number, pairs)], now)
    return [("round_advanced", {"from_round": match.round_num, "to_round": number, "matches_created": len(pairs)})]
