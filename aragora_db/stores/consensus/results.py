"""What `ConsensusStore` returns beside rows of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from aragora_db.models import Consensus, ConsensusArchive, ConsensusStrength, DissentType

__all__ = ["ArchivedCounts", "ChainLink", "ConsensusStats", "SimilarConsensus"]

ChainLink = Consensus | ConsensusArchive
"""A link of a chain; a row of the archive if clean-up moved it."""


class SimilarConsensus(NamedTuple):
    """A consensus about a similar topic; the score is 1 for the same words, and more than 0.1."""

    consensus: Consensus
    score: float


class ArchivedCounts(NamedTuple):
    """How many rows of each table a clean-up moved to the archives."""

    consensus: int
    dissents: int
    proofs: int


@dataclass(frozen=True)
class ConsensusStats:
    """Counts of the rows that are not archived.

    Attributes:
        consensus: consensus rows.
        dissents: dissents.
        proofs: proofs.
        average_confidence: 0 to 1; rows without one do not count, None if none has one.
        by_strength: consensus rows.
        by_domain: consensus rows; None stands for those without a domain.
        by_dissent_type: dissents.
    """

    consensus: int
    dissents: int
    proofs: int
    average_confidence: float | None
    by_strength: Mapping[ConsensusStrength, int]
    by_domain: Mapping[str | None, int]
    by_dissent_type: Mapping[DissentType, int]
