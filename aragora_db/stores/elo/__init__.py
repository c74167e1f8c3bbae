"""Ratings: `EloStore`, what it takes and what it returns."""

from aragora_db.rules.elo_events import Learning, LearningCategory
from aragora_db.stores.elo.matches import NewMatch
from aragora_db.stores.elo.results import EloStats, HeadToHead, HistoryEntry, Neighbours, RatingEvent, Standing
from aragora_db.stores.elo.store import EloStore

__all__ = [
    "EloStats",
    "EloStore",
    "HeadToHead",
    "HistoryEntry",
    "Learning",
    "LearningCategory",
    "Neighbours",
    "NewMatch",
    "RatingEvent",
    "Standing",
]
