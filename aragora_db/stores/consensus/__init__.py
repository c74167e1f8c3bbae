"""What debates concluded, who dissented, what was proved, and which conclusion took the place of which."""

from __future__ import annotations

from aragora_db.models import ConsensusStrength, DissentType
from aragora_db.stores.consensus.chains import Chains
from aragora_db.stores.consensus.cleaning import Cleaning, Moved
from aragora_db.stores.consensus.dissents import Dissents
from aragora_db.stores.consensus.listing import Listing, Similar, Statistics
from aragora_db.stores.consensus.new import NewConsensus, NewDissent, NewProof
from aragora_db.stores.consensus.proofs import Proofs

__all__ = [
    "ConsensusStore",
    "ConsensusStrength",
    "DissentType",
    "Moved",
    "NewConsensus",
    "NewDissent",
    "NewProof",
    "Similar",
    "Statistics",
]


class ConsensusStore(Chains, Dissents, Proofs, Listing, Cleaning):
    """What debates concluded. Never commits; see `aragora_db.stores`.

    Args:
        session: the transaction everything happens in.
    """
