"""Which cached answers a write makes old."""

from __future__ import annotations

from typing import Final

from aragora_db.models import (
    EloDomainRating,
    EloMatch,
    EloRating,
    Persona,
    PersonaPerformance,
)

__all__ = ["LEADERBOARD", "PERSONAS", "topics_of"]

LEADERBOARD: Final = "leaderboard"
"""What `CachedElo` reads: ratings, ratings by domain, and how many matches there are."""

PERSONAS: Final = "personas"
"""What `aragora_db.stores.personas` reads."""

_TABLES: Final[dict[str, frozenset[str]]] = {
    LEADERBOARD: frozenset(model.__tablename__ for model in (EloRating, EloDomainRating, EloMatch)),
    PERSONAS: frozenset(model.__tablename__ for model in (Persona, PersonaPerformance)),
}


def topics_of(tables: frozenset[str]) -> frozenset[str]:
    """The topics whose answers change when rows of these tables do."""
    return frozenset(topic for topic, reads in _TABLES.items() if tables & reads)
