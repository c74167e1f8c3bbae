"""What debates concluded, who dissented, what was proved, and which conclusion superseded which."""

from __future__ import annotations

from aragora_db.models import ConsensusStrength, DissentType
from aragora_db.stores.consensus.inputs import NewConsensus, NewDissent, NewProof
from aragora_db.stores.consensus.results import ArchivedCounts, ChainLink, ConsensusStats, SimilarConsensus
from aragora_db.stores.consensus.store import ConsensusStore

__all__ = [
    "ArchivedCounts",
    "ChainLink",
    "ConsensusStats",
    "ConsensusStore",
    "ConsensusStrength",
    "DissentType",
    "NewConsensus",
    "NewDissent",
    "NewProof",
    "SimilarConsensus",
]
