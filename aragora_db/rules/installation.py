"""The constants that an installation may choose for itself."""

from __future__ import annotations

from dataclasses import dataclass

from aragora_db.rules.elo import INITIAL_RATING, K_FACTOR

__all__ = ["DEFAULT_RULES", "Rules"]


@dataclass(frozen=True)
class Rules:
    """An installation's own constants; the defaults are Aragora's (2.8.0, config/settings.py:418).

    Attributes:
        initial_rating: the rating of a new agent, overall and in each domain.
        k_factor: the most points that one match between two agents can move a rating.
    """

    initial_rating: float = INITIAL_RATING
    k_factor: float = K_FACTOR


DEFAULT_RULES = Rules()
