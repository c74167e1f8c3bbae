"""What Aragora does with its tables, a store per domain, each over a session: ``EloStore(session)``.

A store never commits. Call it in `Database.transact`, which does, and runs the unit of work again when another
transaction was in the way.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aragora_db.stores.consensus import (
        ArchivedCounts,
        ChainLink,
        ConsensusStats,
        ConsensusStore,
        ConsensusStrength,
        DissentType,
        NewConsensus,
        NewDissent,
        NewProof,
        SimilarConsensus,
    )
    from aragora_db.stores.continuum import ContinuumStore, NewMemory, RetrievedMemory, Tier, TierStats
    from aragora_db.stores.debates import DebateStore
    from aragora_db.stores.elo import EloStore
    from aragora_db.stores.genesis import GenesisStore
    from aragora_db.stores.insights import InsightStore
    from aragora_db.stores.paging import Page
    from aragora_db.stores.personas import PersonaStore
    from aragora_db.stores.positions import PositionStore

__all__ = [
    "ArchivedCounts",
    "ChainLink",
    "ConsensusStats",
    "ConsensusStore",
    "ConsensusStrength",
    "ContinuumStore",
    "DebateStore",
    "DissentType",
    "EloStore",
    "GenesisStore",
    "InsightStore",
    "NewConsensus",
    "NewDissent",
    "NewMemory",
    "NewProof",
    "Page",
    "PersonaStore",
    "PositionStore",
    "RetrievedMemory",
    "SimilarConsensus",
    "Tier",
    "TierStats",
]

# As in `aragora_db`: a program that uses one store does not load the others.
_HOMES = {
    "ArchivedCounts": "consensus",
    "ChainLink": "consensus",
    "ConsensusStats": "consensus",
    "ConsensusStore": "consensus",
    "ConsensusStrength": "consensus",
    "ContinuumStore": "continuum",
    "DebateStore": "debates",
    "DissentType": "consensus",
    "EloStore": "elo",
    "GenesisStore": "genesis",
    "InsightStore": "insights",
    "NewConsensus": "consensus",
    "NewDissent": "consensus",
    "NewMemory": "continuum",
    "NewProof": "consensus",
    "Page": "paging",
    "PersonaStore": "personas",
    "PositionStore": "positions",
    "RetrievedMemory": "continuum",
    "SimilarConsensus": "consensus",
    "Tier": "continuum",
    "TierStats": "continuum",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
