"""Where agents come from: genomes, the populations they live in, and the ledger of what happened."""

from __future__ import annotations

from aragora_db.rules.ledger import Flaw
from aragora_db.stores.genesis.inputs import NewGenome
from aragora_db.stores.genesis.ledger import LedgerProblem, LedgerReport
from aragora_db.stores.genesis.store import GenesisStore, Lineage, PopulationMembers

__all__ = ["Flaw", "GenesisStore", "LedgerProblem", "LedgerReport", "Lineage", "NewGenome", "PopulationMembers"]
