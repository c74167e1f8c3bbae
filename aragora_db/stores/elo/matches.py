"""A match as a caller gives it, its validation, and how a repeated recording is recognised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import EloDomainRating, EloMatch, EloMatchParticipant, EloRating
from aragora_db.rules import elo
from aragora_db.sql.elo_match import Match
from aragora_db.stores import checks

__all__ = ["NewMatch", "check_match", "conflict", "content", "expire_ratings", "stored_changes", "stored_matches"]


@dataclass(frozen=True)
class NewMatch:
    """A match to record with `EloStore.record_matches`; `EloStore.record_match` says what the fields mean."""

    debate_id: str
    participants: Sequence[str]
    scores: Mapping[str, float]
    domain: str | None = None
    confidence_weight: float = 1.0
    k_multipliers: Mapping[str, float] | None = None
    created_at: datetime | None = None


def check_match(given: NewMatch) -> Match:
    """Check every argument of a match.

    Raises:
        InvalidValue: naming the argument.
    """
    names = tuple(checks.keys("participants", given.participants))
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
        participants=names,
        scores=scores,
        k_multipliers={name: checks.finite(f"the k_multiplier of {name}", factors.get(name, 1.0)) for name in names},
        winner=elo.winner(scores),
        domain=None if given.domain is None else checks.key("domain", given.domain),
        confidence_weight=min(elo.MAX_CONFIDENCE_WEIGHT, max(elo.MIN_CONFIDENCE_WEIGHT, weight)),
        created_at=checks.clock("created_at", given.created_at),
    )


def _only_participants(argument: str, values: Mapping[str, float], names: Sequence[str]) -> None:
    others = [name for name in values if name not in names]
    if others:
        raise InvalidValue(f"{argument} names {others[0]!r}, who does not take part")


# (score, multiplier) by name, domain and weight; None is not known.
_Content = tuple[dict[str, tuple[float | None, float | None]], str | None, float | None]


def content(match: Match) -> _Content:
    """Return what makes another recording the same match."""
    parts: dict[str, tuple[float | None, float | None]] = {
        name: (match.scores[name], match.k_multipliers[name]) for name in match.participants
    }
    return parts, match.domain, match.confidence_weight


def stored_matches(session: Session, debate_ids: Sequence[str]) -> dict[str, tuple[_Content, dict[str, float]]]:
    """Return the content and the changes of recorded matches, by debate."""
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


def stored_changes(match: Match, stored: tuple[_Content, dict[str, float]]) -> dict[str, float]:
    """Return the stored changes; what is not known of the stored match (imported rows) is no difference.

    Raises:
        ConflictError: the stored match has other content.
    """
    (parts, domain, weight), changes = stored
    mine, _, _ = content(match)
    if (
        domain != match.domain
        or parts.keys() != mine.keys()
        or not _agree(weight, match.confidence_weight)
        or not all(_agree(*pair) for name in mine for pair in zip(parts[name], mine[name], strict=True))
    ):
        raise conflict(match.debate_id)
    return {name: changes[name] for name in match.participants}


def _agree(stored: float | None, given: float | None) -> bool:
    return stored is None or given is None or math.isclose(stored, given, rel_tol=1e-12, abs_tol=1e-12)


def conflict(debate_id: str) -> ConflictError:
    """Make the error for a debate that has another match."""
    return ConflictError(
        f"debate {debate_id} was recorded with other content; a match is never changed: "
        "look at it with EloStore.match, and record another debate under another id"
    )


def expire_ratings(session: Session, names: Sequence[str]) -> None:
    """Expire the ratings of these agents that the session holds: they changed past the session."""
    if not session.identity_map:
        return
    changed = set(names)
    for each in list(session.identity_map.values()):
        if isinstance(each, EloRating | EloDomainRating) and each.agent_name in changed:
            session.expire(each)
