"""What Aragora does with its tables, a store per domain, each over a session: ``EloStore(session)``.

A store never commits. Call it in `Database.transact`, which does, and runs the unit of work again when another
transaction was in the way.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aragora_db.stores.base import UNSET, Store
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
    from aragora_db.stores.debates import DebateStats, DebateStore, NewCritique, NewDebate, NewResult
    from aragora_db.stores.elo import EloStore
    from aragora_db.stores.genesis import GenesisStore, LedgerReport, Lineage, Members, Problem
    from aragora_db.stores.insights import (
        AgentStats,
        InsightStore,
        InsightType,
        NewInsight,
        NewPattern,
        NewPerformance,
        NewSummary,
        UsageStats,
    )
    from aragora_db.stores.paging import Page
    from aragora_db.stores.personas import DomainRecord, Expertise, PersonaStore
    from aragora_db.stores.positions import Accuracy, Consistency, Detection, NewPosition, NewStatement, PositionStore

__all__ = [
    "UNSET",
    "Accuracy",
    "AgentStats",
    "ArchivedCounts",
    "ChainLink",
    "ConsensusStats",
    "ConsensusStore",
    "ConsensusStrength",
    "Consistency",
    "ContinuumStore",
    "DebateStats",
    "DebateStore",
    "Detection",
    "DissentType",
    "DomainRecord",
    "EloStore",
    "Expertise",
    "GenesisStore",
    "InsightStore",
    "InsightType",
    "LedgerReport",
    "Lineage",
    "Members",
    "NewConsensus",
    "NewCritique",
    "NewDebate",
    "NewDissent",
    "NewInsight",
    "NewMemory",
    "NewPattern",
    "NewPerformance",
    "NewPosition",
    "NewProof",
    "NewResult",
    "NewStatement",
    "NewSummary",
    "Page",
    "PersonaStore",
    "PositionStore",
    "Problem",
    "RetrievedMemory",
    "SimilarConsensus",
    "Store",
    "Tier",
    "TierStats",
    "UsageStats",
]

# As in `aragora_db`: a program that uses one store does not load the others.
_HOMES = {
    "Accuracy": "positions",
    "AgentStats": "insights",
    "ArchivedCounts": "consensus",
    "ChainLink": "consensus",
    "ConsensusStats": "consensus",
    "ConsensusStore": "consensus",
    "ConsensusStrength": "consensus",
    "Consistency": "positions",
    "ContinuumStore": "continuum",
    "DebateStats": "debates",
    "DebateStore": "debates",
    "Detection": "positions",
    "DissentType": "consensus",
    "DomainRecord": "personas",
    "EloStore": "elo",
    "Expertise": "personas",
    "GenesisStore": "genesis",
    "InsightStore": "insights",
    "InsightType": "insights",
    "LedgerReport": "genesis",
    "Lineage": "genesis",
    "Members": "genesis",
    "NewConsensus": "consensus",
    "NewCritique": "debates",
    "NewDebate": "debates",
    "NewDissent": "consensus",
    "NewInsight": "insights",
    "NewMemory": "continuum",
    "NewPattern": "insights",
    "NewPerformance": "insights",
    "NewPosition": "positions",
    "NewProof": "consensus",
    "NewResult": "debates",
    "NewStatement": "positions",
    "NewSummary": "insights",
    "Page": "paging",
    "PersonaStore": "personas",
    "PositionStore": "positions",
    "Problem": "genesis",
    "RetrievedMemory": "continuum",
    "SimilarConsensus": "consensus",
    "Store": "base",
    "Tier": "continuum",
    "TierStats": "continuum",
    "UNSET": "base",
    "UsageStats": "insights",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
