"""The memory continuum: what agents remember, how it moves between tiers, and how it is found again."""

from __future__ import annotations

from aragora_db.models import Tier
from aragora_db.stores.continuum.inputs import NewMemory
from aragora_db.stores.continuum.results import RetrievedMemory, TierStats
from aragora_db.stores.continuum.store import ContinuumStore

__all__ = ["ContinuumStore", "NewMemory", "RetrievedMemory", "Tier", "TierStats"]
