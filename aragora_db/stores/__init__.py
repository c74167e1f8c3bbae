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
    from aragora_db.stores.debates import DebateStats, DebateStore, NewCritique, NewDebate, NewResult
    from aragora_db.stores.elo import EloStore
    from aragora_db.stores.genesis import GenesisStore
    from aragora_db.stores.insights import InsightStore
    from aragora_db.stores.paging import Page
    from aragora_db.stores.personas import DomainRecord, Expertise, PersonaStore
    from aragora_db.stores.positions import (
        Accuracy,
        Consistency,
        Detection,
        NewPosition,
        NewStatement,
        PositionStore,
    )

__all__ = [
    "Accuracy",
    "ConsensusStore",
    "Consistency",
    "ContinuumStore",
    "DebateStats",
    "DebateStore",
    "Detection",
    "DomainRecord",
    "EloStore",
    "Expertise",
    "GenesisStore",
    "InsightStore",
    "NewCritique",
    "NewDebate",
    "NewPosition",
    "NewResult",
    "NewStatement",
    "Page",
    "PersonaStore",
    "PositionStore",
]

# As in `aragora_db`: a program that uses one store does not load the others.
_HOMES = {
    "Accuracy": "positions",
    "ConsensusStore": "consensus",
    "Consistency": "positions",
    "ContinuumStore": "continuum",
    "DebateStats": "debates",
    "DebateStore": "debates",
    "Detection": "positions",
    "DomainRecord": "personas",
    "EloStore": "elo",
    "Expertise": "personas",
    "GenesisStore": "genesis",
    "InsightStore": "insights",
    "NewCritique": "debates",
    "NewDebate": "debates",
    "NewPosition": "positions",
    "NewResult": "debates",
    "NewStatement": "positions",
    "Page": "paging",
    "PersonaStore": "personas",
    "PositionStore": "positions",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
