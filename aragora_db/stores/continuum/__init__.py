"""The memory continuum: what agents remember, how it moves between tiers, and how it is found again."""

from __future__ import annotations

from aragora_db.models import Tier
from aragora_db.stores.continuum.embeddings import Embeddings
from aragora_db.stores.continuum.leaving import Leaving
from aragora_db.stores.continuum.listing import Listing, TierStats
from aragora_db.stores.continuum.memories import Memories, NewMemory
from aragora_db.stores.continuum.moves import Moves
from aragora_db.stores.continuum.retrieval import Retrieved

__all__ = ["ContinuumStore", "NewMemory", "Retrieved", "Tier", "TierStats"]


class ContinuumStore(Memories, Embeddings, Moves, Leaving, Listing):
    """What agents remember. Never commits; see `aragora_db.stores`.

    Args:
        session: the transaction everything happens in.
    """
