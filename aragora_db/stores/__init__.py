"""What Aragora does with its tables, a store per domain, each over a session: ``EloStore(session)``.

A store never commits. Call it in `Database.transact`, which does, and runs the unit of work again when another
transaction was in the way.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aragora_db.stores.consensus import ConsensusStore
    from aragora_db.stores.continuum import ContinuumStore
    from aragora_db.stores.debates import DebateStore
    from aragora_db.stores.elo import EloStore
    from aragora_db.stores.genesis import GenesisStore
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
    from aragora_db.stores.personas import PersonaStore
    from aragora_db.stores.positions import PositionStore

__all__ = [
    "AgentStats",
    "ConsensusStore",
    "ContinuumStore",
    "DebateStore",
    "EloStore",
    "GenesisStore",
    "InsightStore",
    "InsightType",
    "NewInsight",
    "NewPattern",
    "NewPerformance",
    "NewSummary",
    "Page",
    "PersonaStore",
    "PositionStore",
    "UsageStats",
]

# As in `aragora_db`: a program that uses one store does not load the others.
_HOMES = {
    "AgentStats": "insights",
    "ConsensusStore": "consensus",
    "ContinuumStore": "continuum",
    "DebateStore": "debates",
    "EloStore": "elo",
    "GenesisStore": "genesis",
    "InsightStore": "insights",
    "InsightType": "insights",
    "NewInsight": "insights",
    "NewPattern": "insights",
    "NewPerformance": "insights",
    "NewSummary": "insights",
    "Page": "paging",
    "PersonaStore": "personas",
    "PositionStore": "positions",
    "UsageStats": "insights",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
