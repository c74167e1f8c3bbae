"""Ratings: matches, leaderboards, what else moves a rating, relationships, calibration and tournaments."""

from aragora_db.stores.elo.calibration import Calibration
from aragora_db.stores.elo.events import RatingEvents
from aragora_db.stores.elo.leaderboards import Leaderboards
from aragora_db.stores.elo.matches import Matches
from aragora_db.stores.elo.records import Records
from aragora_db.stores.elo.relationships import Relationships
from aragora_db.stores.elo.tournaments import Tournaments

__all__ = ["EloStore"]


class EloStore(Matches, Leaderboards, Records, RatingEvents, Relationships, Calibration, Tournaments):
    """Everything about ratings, over one session: ``EloStore(session).record_match(...)``.

    Never commits; see `aragora_db.stores`.
    """
