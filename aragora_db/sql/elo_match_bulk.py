"""Many matches at once, with the result of one after the other: lock, compute, write in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import by_dialect
from aragora_db.models import EloDomainRating, EloMatch, EloRating
from aragora_db.rules import elo
from aragora_db.rules.installation import Rules
from aragora_db.sql.bulk import add_on_conflict, insert_rows
from aragora_db.sql.elo_match import Match, match_changes

__all__ = ["write_matches"]

_MATCH = {
    "debate_id": "text",
    "winner": "text",
    "domain": "text",
    "confidence_weight": "float8",
    "created_at": "timestamptz",
}
_PARTICIPANT = {
    "match_id": "int8",
    "agent_name": "text",
    "position": "int8",
    "score": "float8",
    "elo_change": "float8",
    "k_multiplier": "float8",
}
_HISTORY = {"agent_name": "text", "elo": "float8", "debate_id": "text", "created_at": "timestamptz"}
_RATING = {
    "agent_name": "text",
    "elo": "float8",
    "wins": "int8",
    "losses": "int8",
    "draws": "int8",
    "debates_count": "int8",
    "updated_at": "timestamptz",
}
_DOMAIN = {"agent_name": "text", "domain": "text", "elo": "float8"}
_PAIR = {"agent_a": "text", "agent_b": "text", "matches": "int8", "a_wins": "int8", "b_wins": "int8", "draws": "int8"}
_ADD_RECORD = add_on_conflict(
    "elo_ratings", "agent_name", ("wins", "losses", "draws", "debates_count"), updated_at=True
)
_ADD_PAIR = add_on_conflict("elo_head_to_head", "agent_a, agent_b", ("matches", "a_wins", "b_wins", "draws"))


def write_matches(
    session: Session, matches: Sequence[Match], names: Sequence[str], rules: Rules
) -> dict[str, dict[str, float]]:
    """Write matches of different debates, in order, and everything that follows from them.

    Args:
        session: where.
        matches: one or more, each of a debate of its own.
        names: their participants, each once and sorted.
        rules: the installation's constants.

    Returns:
        The changes by debate; debates that have a match already are left out.
    """
    ratings = _lock(session, matches, names, rules.initial_rating)
    ids = _insert_matches(session, matches)
    new = [match for match in matches if match.debate_id in ids]
    if not new:
        return {}
    domains = _domain_ratings(session, names, new, rules.initial_rating)
    tally = _Tally(ratings, domains, rules)
    changes = {match.debate_id: tally.count(match, ids[match.debate_id]) for match in new}
    tally.write(session)
    return changes


def _lock(session: Session, matches: Sequence[Match], names: Sequence[str], initial_rating: float) -> dict[str, float]:
    """Insert the ratings that are missing, then lock all of them in name order."""
    # A new rating's time is that of its agent's first match here, as if the matches came one by one.
    first: dict[str, datetime] = {}
    for match in matches:
        for name in match.participants:
            first.setdefault(name, match.created_at)
    blank = [(name, initial_rating, 0, 0, 0, 0, first[name]) for name in names]
    insert_rows(session, "elo_ratings", _RATING, blank, "ON CONFLICT (agent_name) DO NOTHING")
    statement = sa.select(EloRating.agent_name, EloRating.elo).order_by(EloRating.agent_name).with_for_update()
    return {
        name: rating
        for some in _slices(names)
        for name, rating in session.execute(statement.where(EloRating.agent_name.in_(some)))
    }


def _domain_ratings(
    session: Session, names: Sequence[str], matches: Sequence[Match], initial_rating: float
) -> defaultdict[tuple[str, str], float]:
    found: defaultdict[tuple[str, str], float] = defaultdict(lambda: initial_rating)
    domains = sorted({match.domain for match in matches if match.domain is not None})
    columns = sa.select(EloDomainRating.agent_name, EloDomainRating.domain, EloDomainRating.elo)
    for some in _slices(names):
        for some_domains in _slices(domains):
            here = EloDomainRating.agent_name.in_(some) & EloDomainRating.domain.in_(some_domains)
            found |= {(name, domain): rating for name, domain, rating in session.execute(columns.where(here))}
    return found


# SQLite takes 32,766 parameters in a statement (https://www.sqlite.org/limits.html#max_variable_number).
_SLICE = 10_000


def _slices(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[start : start + _SLICE] for start in range(0, len(values), _SLICE)]


class _Tally:
    """What the matches add up to, counted in order from locked ratings."""

    def __init__(self, ratings: dict[str, float], domains: defaultdict[tuple[str, str], float], rules: Rules) -> None:
        self._rules = rules
        self._ratings = ratings
        self._domains = domains
        self._touched: set[tuple[str, str]] = set()
        self._records: defaultdict[str, list[Any]] = defaultdict(lambda: [0, 0, 0, None])
        self._pairs: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._participants: list[tuple[Any, ...]] = []
        self._history: list[tuple[Any, ...]] = []

    def count(self, match: Match, match_id: int) -> dict[str, float]:
        """Add one match; returns its changes."""
        changes = match_changes(match, self._ratings, self._rules)
        for position, name in enumerate(match.participants):
            change = changes[name]
            self._ratings[name] += change
            record = self._records[name]
            record[_outcome(name, match.winner)] += 1
            record[3] = match.created_at if record[3] is None else max(record[3], match.created_at)
            if match.domain is not None:
                self._domains[name, match.domain] += change
                self._touched.add((name, match.domain))
            multiplier = match.k_multipliers[name]
            self._participants.append((match_id, name, position, match.scores[name], change, multiplier))
            self._history.append((name, self._ratings[name], match.debate_id, match.created_at))
        for a, b in elo.pairs(match.participants):
            pair = self._pairs[a, b]
            pair[0] += 1
            if match.winner in {a, b, None}:
                pair[1 if match.winner == a else 2 if match.winner == b else 3] += 1
        return changes

    def write(self, session: Session) -> None:
        """Write all rows; the ratings are locked, so absolute values are right."""
        insert_rows(session, "elo_match_participants", _PARTICIPANT, self._participants)
        insert_rows(session, "elo_history", _HISTORY, self._history)
        insert_rows(
            session,
            "elo_ratings",
            _RATING,
            [
                (name, self._ratings[name], wins, losses, draws, wins + losses + draws, latest)
                for name, (wins, losses, draws, latest) in sorted(self._records.items())
            ],
            f"{_ADD_RECORD}, elo = excluded.elo",
        )
        if self._touched:
            insert_rows(
                session,
                "elo_domain_ratings",
                _DOMAIN,
                [(*key, self._domains[key]) for key in sorted(self._touched)],
                "ON CONFLICT (agent_name, domain) DO UPDATE SET elo = excluded.elo",
            )
        insert_rows(
            session,
            "elo_head_to_head",
            _PAIR,
            [(*key, *counts) for key, counts in sorted(self._pairs.items())],
            _ADD_PAIR,
        )


def _outcome(name: str, winner: str | None) -> int:
    """Where a record counts it: wins, losses, draws."""
    return 2 if winner is None else 0 if name == winner else 1


def _rows(matches: Sequence[Match]) -> list[tuple[Any, ...]]:
    return [
        (match.debate_id, match.winner, match.domain, match.confidence_weight, match.created_at) for match in matches
    ]


def _returning(session: Session, matches: Sequence[Match]) -> dict[str, int]:
    then = "ON CONFLICT (debate_id) DO NOTHING RETURNING debate_id, id"
    return {row[0]: row[1] for row in insert_rows(session, "elo_matches", _MATCH, _rows(matches), then)}


def _above_the_highest(session: Session, matches: Sequence[Match]) -> dict[str, int]:
    """Executemany returns nothing; nobody else writes, so what is new has the highest ids."""
    highest = session.scalar(sa.select(sa.func.coalesce(sa.func.max(EloMatch.id), 0)))
    insert_rows(session, "elo_matches", _MATCH, _rows(matches), "ON CONFLICT (debate_id) DO NOTHING")
    rows = session.execute(sa.select(EloMatch.debate_id, EloMatch.id).where(EloMatch.id > highest))
    return {str(debate_id): id_ for debate_id, id_ in rows}


_insert_matches = by_dialect(postgresql=_returning, sqlite=_above_the_highest)
