"""What Aragora does with its tables, a store per domain, each over a session: ``EloStore(session)``.

A store never commits. Call it in `Database.transact`, which does, and runs the unit of work again when another
transaction was in the way.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aragora_db.stores.base import UNSET, Store
    from aragora_db.stores.calibration import (
        AgentCalibration,
        CalibrationBucket,
        CalibrationStanding,
        CalibrationStore,
        DomainCalibration,
    )
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
    from aragora_db.stores.elo import (
        EloStats,
        EloStore,
        HeadToHead,
        HistoryEntry,
        Learning,
        LearningCategory,
        Neighbours,
        NewMatch,
        RatingEvent,
        Standing,
    )
    from aragora_db.stores.genesis import (
        Flaw,
        GenesisStore,
        LedgerProblem,
        LedgerReport,
        Lineage,
        NewGenome,
        PopulationMembers,
    )
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
    from aragora_db.stores.relationships import (
        NewInteraction,
        Relationship,
        RelationshipKind,
        RelationshipMetrics,
        RelationshipStore,
    )
    from aragora_db.stores.tournaments import BracketType, TournamentStanding, TournamentStore

__all__ = [
    "UNSET",
    "Accuracy",
    "AgentCalibration",
    "AgentStats",
    "ArchivedCounts",
    "BracketType",
    "CalibrationBucket",
    "CalibrationStanding",
    "CalibrationStore",
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
    "DomainCalibration",
    "DomainRecord",
    "EloStats",
    "EloStore",
    "Expertise",
    "Flaw",
    "GenesisStore",
    "HeadToHead",
    "HistoryEntry",
    "InsightStore",
    "InsightType",
    "Learning",
    "LearningCategory",
    "LedgerProblem",
    "LedgerReport",
    "Lineage",
    "Neighbours",
    "NewConsensus",
    "NewCritique",
    "NewDebate",
    "NewDissent",
    "NewGenome",
    "NewInsight",
    "NewInteraction",
    "NewMatch",
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
    "PopulationMembers",
    "PositionStore",
    "RatingEvent",
    "Relationship",
    "RelationshipKind",
    "RelationshipMetrics",
    "RelationshipStore",
    "RetrievedMemory",
    "SimilarConsensus",
    "Standing",
    "Store",
    "Tier",
    "TierStats",
    "TournamentStanding",
    "TournamentStore",
    "UsageStats",
]

# As in `aragora_db`: a program that uses one store does not load the others.
_HOMES = {
    "Accuracy": "positions",
    "AgentCalibration": "calibration",
    "AgentStats": "insights",
    "ArchivedCounts": "consensus",
    "BracketType": "tournaments",
    "CalibrationBucket": "calibration",
    "CalibrationStanding": "calibration",
    "CalibrationStore": "calibration",
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
    "DomainCalibration": "calibration",
    "DomainRecord": "personas",
    "EloStats": "elo",
    "EloStore": "elo",
    "Expertise": "personas",
    "Flaw": "genesis",
    "GenesisStore": "genesis",
    "HeadToHead": "elo",
    "HistoryEntry": "elo",
    "InsightStore": "insights",
    "InsightType": "insights",
    "Learning": "elo",
    "LearningCategory": "elo",
    "LedgerProblem": "genesis",
    "LedgerReport": "genesis",
    "Lineage": "genesis",
    "Neighbours": "elo",
    "NewConsensus": "consensus",
    "NewCritique": "debates",
    "NewDebate": "debates",
    "NewDissent": "consensus",
    "NewGenome": "genesis",
    "NewInsight": "insights",
    "NewInteraction": "relationships",
    "NewMatch": "elo",
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
    "PopulationMembers": "genesis",
    "PositionStore": "positions",
    "RatingEvent": "elo",
    "Relationship": "relationships",
    "RelationshipKind": "relationships",
    "RelationshipMetrics": "relationships",
    "RelationshipStore": "relationships",
    "RetrievedMemory": "continuum",
    "SimilarConsensus": "consensus",
    "Standing": "elo",
    "Store": "base",
    "Tier": "continuum",
    "TierStats": "continuum",
    "TournamentStanding": "tournaments",
    "TournamentStore": "tournaments",
    "UNSET": "base",
    "UsageStats": "insights",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
