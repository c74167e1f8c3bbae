"""The constants that an installation may choose for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aragora_db.errors import InvalidValue
from aragora_db.rules.elo import INITIAL_RATING, K_FACTOR

__all__ = ["DEFAULT_RULES", "Rules"]


@dataclass(frozen=True)
class Rules:
    """An installation's own constants; the defaults are Aragora's (2.8.0, config/settings.py:418).

    Attributes:
        initial_rating: the rating of a new agent, overall and in each domain.
        k_factor: the most points that one match between two agents can move a rating; 0 or more.

    Raises:
        InvalidValue: a number is NaN or infinite, or the K factor is negative.
    """

    initial_rating: float = INITIAL_RATING
    k_factor: float = K_FACTOR

    def __post_init__(self) -> None:
        for name in ("initial_rating", "k_factor"):
            if not math.isfinite(getattr(self, name)):
                raise InvalidValue(f"{name} is {getattr(self, name)}; it must be a finite number")
        if self.k_factor < 0:
            raise InvalidValue(f"k_factor is {self.k_factor}; it must be 0 or more")


DEFAULT_RULES = Rules()
