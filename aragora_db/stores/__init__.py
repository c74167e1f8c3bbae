"""What Aragora does with its tables, a store per domain, each over a session: ``EloStore(session)``.

A store never commits. Call it in `Database.transact`, which does, and runs the unit of work again when another
transaction was in the way.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aragora_db.stores.calibration import (
        AgentCalibration,
        CalibrationBucket,
        CalibrationStanding,
        CalibrationStore,
        DomainCalibration,
    )
    from aragora_db.stores.consensus import ConsensusStore
    from aragora_db.stores.continuum import ContinuumStore
    from aragora_db.stores.debates import DebateStore
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
    from aragora_db.stores.genesis import GenesisStore
    from aragora_db.stores.insights import InsightStore
    from aragora_db.stores.paging import Page
    from aragora_db.stores.personas import PersonaStore
    from aragora_db.stores.positions import PositionStore
    from aragora_db.stores.relationships import (
        NewInteraction,
        Relationship,
        RelationshipKind,
        RelationshipMetrics,
        RelationshipStore,
    )
    from aragora_db.stores.tournaments import BracketType, TournamentStanding, TournamentStore

__all__ = [
    "AgentCalibration",
    "BracketType",
    "CalibrationBucket",
    "CalibrationStanding",
    "CalibrationStore",
    "ConsensusStore",
    "ContinuumStore",
    "DebateStore",
    "DomainCalibration",
    "EloStats",
    "EloStore",
    "GenesisStore",
    "HeadToHead",
    "HistoryEntry",
    "InsightStore",
    "Learning",
    "LearningCategory",
    "Neighbours",
    "NewInteraction",
    "NewMatch",
    "Page",
    "PersonaStore",
    "PositionStore",
    "RatingEvent",
    "Relationship",
    "RelationshipKind",
    "RelationshipMetrics",
    "RelationshipStore",
    "Standing",
    "TournamentStanding",
    "TournamentStore",
]

# As in `aragora_db`: a program that uses one store does not load the others.
_HOMES = {
    "AgentCalibration": "calibration",
    "BracketType": "tournaments",
    "CalibrationBucket": "calibration",
    "CalibrationStanding": "calibration",
    "CalibrationStore": "calibration",
    "ConsensusStore": "consensus",
    "ContinuumStore": "continuum",
    "DebateStore": "debates",
    "DomainCalibration": "calibration",
    "EloStats": "elo",
    "EloStore": "elo",
    "GenesisStore": "genesis",
    "HeadToHead": "elo",
    "HistoryEntry": "elo",
    "InsightStore": "insights",
    "Learning": "elo",
    "LearningCategory": "elo",
    "RelationshipMetrics": "relationships",
    "Neighbours": "elo",
    "NewInteraction": "relationships",
    "NewMatch": "elo",
    "Page": "paging",
    "PersonaStore": "personas",
    "PositionStore": "positions",
    "RatingEvent": "elo",
    "Relationship": "relationships",
    "RelationshipKind": "relationships",
    "RelationshipStore": "relationships",
    "Standing": "elo",
    "TournamentStanding": "tournaments",
    "TournamentStore": "tournaments",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
