"""Matches: recorded once, whatever is retried, and counted once, however many processes record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import EloDomainRating, EloMatch, EloMatchParticipant, EloRating
from aragora_db.rules import elo
from aragora_db.sql.elo_match import Match, write_match
from aragora_db.sql.elo_match_bulk import write_matches
from aragora_db.stores import checks
from aragora_db.stores.elo.base import Part

__all__ = ["MatchInput", "Matches"]


@dataclass(frozen=True)
class MatchInput:
    """A match to record, for `Matches.record_matches`; see `Matches.record_match` for what the fields mean."""

    debate_id: str
    participants: Sequence[str]
    scores: Mapping[str, float]
    domain: str | None = None
    confidence_weight: float = 1.0
    k_multipliers: Mapping[str, float] | None = None
    created_at: datetime | None = None


class Matches(Part):
    """Recording matches, and reading one back."""

    def record_match(
        self,
        debate_id: str,
        participants: Sequence[str],
        scores: Mapping[str, float],
        domain: str | None = None,
        confidence_weight: float = 1.0,
        k_multipliers: Mapping[str, float] | None = None,
        *,
        created_at: datetime | None = None,
    ) -> dict[str, float]:
        """Record how a debate was scored, and move the participants' ratings.

        Every two participants count as one match (`aragora_db.rules.elo.pairwise_changes`); who scored strictly most
        wins, otherwise it is a draw for all. Overall ratings and, with a domain, the ratings of that domain move by
        the same change. New agents begin at 1500.

        One debate is one match: recording it again returns the stored changes and writes nothing, also when another
        process did it a moment ago. Aragora wrote ratings, history and match in three transactions with absolute
        values, which lost updates and counted retries twice (ranking/elo_matchmaking.py:93-131).

        Args:
            debate_id: the debate; unique among matches.
            participants: two or more agents, each once.
            scores: what each participant scored, 0 or more.
            domain: the field of the debate, such as ``security``.
            confidence_weight: how much this match counts; brought into 0.1 to 1.
            k_multipliers: factors on single agents' changes, such as those of `k_multipliers`; 1 where there is none.
            created_at: when it happened; now by default.

        Returns:
            Each participant's change, in the order given.

        Raises:
            InvalidValue: fewer than two participants, a score that is missing, negative, infinite or NaN, or a name
                that nobody takes part under. Nothing was written.
            ConflictError: this debate was recorded with other participants, scores, domain, weight or multipliers.
        """
        match = _checked(
            MatchInput(debate_id, participants, scores, domain, confidence_weight, k_multipliers, created_at)
        )
        self._session.flush()
        changes = write_match(self._session, match)
        if changes is None:
            return _same(match, _stored(self._session, [match.debate_id])[match.debate_id])
        _forget(self._session, match.names)
        return changes

    def record_matches(self, matches: Iterable[MatchInput]) -> list[dict[str, float]]:
        """Record many matches with the result of `record_match` one by one, in order, in a few statements.

        All ratings are locked first, in name order; the changes are computed here; the rows are written in bulk. All
        or nothing: when one match is refused, none is written.

        Returns:
            The changes of each match, in the order given; the stored ones for those that were recorded before.

        Raises:
            InvalidValue: as for `record_match`.
            ConflictError: as for `record_match`; also when two of these matches contradict each other.
        """
        checked = [_checked(each) for each in matches]
        if not checked:
            return []
        self._session.flush()
        first: dict[str, Match] = {}
        for match in checked:
            earlier = first.setdefault(match.debate_id, match)
            if _content(earlier) != _content(match):
                raise _conflict(match.debate_id)
        names = sorted({name for match in first.values() for name in match.names})
        stored = write_matches(self._session, list(first.values()), names)
        repeats = [debate_id for debate_id in first if debate_id not in stored]
        known = _stored(self._session, repeats)
        changes = stored | {debate_id: _same(first[debate_id], known[debate_id]) for debate_id in repeats}
        _forget(self._session, names)
        return [{name: changes[match.debate_id][name] for name in match.names} for match in checked]

    def match(self, debate_id: str) -> EloMatch | None:
        """The match of a debate with its participants in order, or None."""
        return self._session.scalars(
            sa.select(EloMatch).where(EloMatch.debate_id == debate_id).options(selectinload(EloMatch.participants))
        ).one_or_none()


def _checked(given: MatchInput) -> Match:
    names = tuple(checks.names("participants", given.participants))
    if len(names) < 2:  # noqa: PLR2004 -- a match takes two
        raise InvalidValue(f"participants names {len(names)} agents; a match takes at least two")
    _only_participants("scores", given.scores, names)
    missing = [name for name in names if name not in given.scores]
    if missing:
        raise InvalidValue(f"scores has none for {', '.join(missing)}; every participant needs one")
    scores = {name: checks.finite(f"the score of {name}", given.scores[name]) for name in names}
    negative = [name for name in names if scores[name] < 0]
    if negative:
        raise InvalidValue(f"the score of {negative[0]} is negative; a pair's shares are computed from 0 and more")
    factors = given.k_multipliers or {}
    _only_participants("k_multipliers", factors, names)
    weight = checks.finite("confidence_weight", given.confidence_weight)
    return Match(
        debate_id=checks.key("debate_id", given.debate_id),
        names=tuple(checks.key("participants", name) for name in names),
        scores=scores,
        multipliers={name: checks.finite(f"the k_multiplier of {name}", factors.get(name, 1.0)) for name in names},
        winner=elo.winner(scores),
        domain=None if given.domain is None else checks.key("domain", given.domain),
        weight=min(elo.MAX_CONFIDENCE_WEIGHT, max(elo.MIN_CONFIDENCE_WEIGHT, weight)),
        now=checks.clock("created_at", given.created_at),
    )


def _only_participants(argument: str, values: Mapping[str, float], names: Sequence[str]) -> None:
    others = [name for name in values if name not in names]
    if others:
        raise InvalidValue(f"{argument} names {others[0]!r}, who does not take part")


# What makes two recordings the same match: (score, multiplier) by name, domain and weight.
_Content = tuple[dict[str, tuple[float | None, float | None]], str | None, float | None]


def _content(match: Match) -> _Content:
    parts: dict[str, tuple[float | None, float | None]] = {
        name: (match.scores[name], match.multipliers[name]) for name in match.names
    }
    return parts, match.domain, match.weight


def _stored(session: Session, debate_ids: Sequence[str]) -> dict[str, tuple[_Content, dict[str, float]]]:
    """Content and changes of matches that are there."""
    found: dict[str, tuple[_Content, dict[str, float]]] = {}
    rows = session.execute(
        sa.select(
            EloMatch.debate_id,
            EloMatch.domain,
            EloMatch.confidence_weight,
            EloMatchParticipant.agent_name,
            EloMatchParticipant.score,
            EloMatchParticipant.k_multiplier,
            EloMatchParticipant.elo_change,
        )
        .join(EloMatchParticipant, EloMatchParticipant.match_id == EloMatch.id)
        .where(EloMatch.debate_id.in_(debate_ids))
        .order_by(EloMatch.id, EloMatchParticipant.position)
    )
    for debate_id, domain, weight, name, score, multiplier, change in rows:
        (parts, _, _), changes = found.setdefault(str(debate_id), (({}, domain, weight), {}))
        parts[name] = (score, multiplier)
        changes[name] = change or 0.0
    return found


def _same(match: Match, stored: tuple[_Content, dict[str, float]]) -> dict[str, float]:
    """The stored changes, if the stored match is this one; what is not known of it (imported rows) is no difference."""
    (parts, domain, weight), changes = stored
    mine, _, _ = _content(match)
    if (
        domain != match.domain
        or parts.keys() != mine.keys()
        or not _agree(weight, match.weight)
        or not all(_agree(*pair) for name in mine for pair in zip(parts[name], mine[name], strict=True))
    ):
        raise _conflict(match.debate_id)
    return {name: changes[name] for name in match.names}


def _agree(stored: float | None, given: float | None) -> bool:
    return stored is None or given is None or math.isclose(stored, given, rel_tol=1e-12, abs_tol=1e-12)


def _conflict(debate_id: str) -> ConflictError:
    return ConflictError(
        f"debate {debate_id} was recorded with other content; a match is never changed: "
        "look at it with EloStore.match, and record another debate under another id"
    )


def _forget(session: Session, names: Sequence[str]) -> None:
    """Ratings that the session holds are read again when they are next looked at."""
    if not session.identity_map:
        return
    changed = set(names)
    for each in list(session.identity_map.values()):
        if isinstance(each, EloRating | EloDomainRating) and each.agent_name in changed:
            session.expire(each)
