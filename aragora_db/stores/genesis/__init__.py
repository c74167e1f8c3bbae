"""Where agents come from: genomes, the populations they live in, and the ledger of what happened."""

from __future__ import annotations

from sqlalchemy.orm import Session

from aragora_db.stores.genesis.genomes import Genomes, Lineage
from aragora_db.stores.genesis.ledger import Ledger
from aragora_db.stores.genesis.populations import Members, Populations
from aragora_db.stores.genesis.verification import LedgerReport, Problem, Verification

__all__ = ["GenesisStore", "LedgerReport", "Lineage", "Members", "Problem"]


class GenesisStore(Genomes, Populations, Ledger, Verification):
    """Genomes, populations and the ledger. Never commits; see `aragora_db.stores`.

    Args:
        session: the transaction everything happens in.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
