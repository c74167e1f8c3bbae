"""What debates agreed on, who dissented, and what was proved."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, CreatedAt, Flag, index, key, references
from aragora_db.types import EnumText
from aragora_db.types.ddl import newest_first

__all__ = [
    "Consensus",
    "ConsensusArchive",
    "ConsensusStrength",
    "ConsensusTopicWord",
    "Dissent",
    "DissentArchive",
    "DissentType",
    "VerifiedProof",
    "VerifiedProofArchive",
]


class ConsensusStrength(StrEnum):
    """How united the agents were."""

    UNANIMOUS = "unanimous"
    STRONG = "strong"
    MODERATE = "moderate"
    WEAK = "weak"
    SPLIT = "split"
    CONTESTED = "contested"


class DissentType(StrEnum):
    """Why an agent did not agree."""

    MINOR_QUIBBLE = "minor_quibble"
    ALTERNATIVE_APPROACH = "alternative_approach"
    FUNDAMENTAL_DISAGREEMENT = "fundamental_disagreement"
    EDGE_CASE_CONCERN = "edge_case_concern"
    RISK_WARNING = "risk_warning"
    ABSTENTION = "abstention"


class Consensus(Base):
    """What a debate concluded. `data` is the whole record and authoritative; the columns are what queries need."""

    __tablename__ = "consensus"

    id: Mapped[key] = mapped_column(primary_key=True)
    topic: Mapped[str]
    topic_hash: Mapped[key]
    conclusion: Mapped[str]
    strength: Mapped[ConsensusStrength] = mapped_column(EnumText(ConsensusStrength))
    confidence: Mapped[float | None]
    domain: Mapped[key | None]
    tags: Mapped[list[Any] | None]
    timestamp: Mapped[datetime | None]
    data: Mapped[dict[str, Any]]


index(Consensus, "topic_hash", "the same topic again", Consensus.topic_hash, newest_first(Consensus.timestamp))
index(Consensus, "domain", "history of one domain", Consensus.domain, newest_first(Consensus.timestamp), Consensus.id)
index(
    Consensus,
    "confidence",
    "similar debates: sure enough, newest first",
    newest_first(Consensus.confidence),
    newest_first(Consensus.timestamp),
)
index(Consensus, "timestamp", "history and clean-up by age", newest_first(Consensus.timestamp), Consensus.id)


class ConsensusTopicWord(Base):
    """One word of a consensus's topic, and how many different words that has; `aragora_db.search.index` writes it."""

    __tablename__ = "consensus_topic_words"

    consensus_id: Mapped[key] = references("consensus.id", ondelete="CASCADE", primary_key=True)
    word: Mapped[key] = mapped_column(primary_key=True)
    topic_size: Mapped[int]

    __table_args__ = (
        # Two keys and a number have to fit an index row; a word is cut to this.
        sa.CheckConstraint("length(word) <= 128", name="word_length"),
    )


index(
    ConsensusTopicWord,
    "similar",
    "similar topics: shared words, counted in the index alone",
    ConsensusTopicWord.word,
    ConsensusTopicWord.consensus_id,
    ConsensusTopicWord.topic_size,
)


class Dissent(Base):
    """One agent's objection to a consensus."""

    __tablename__ = "dissent"

    id: Mapped[key] = mapped_column(primary_key=True)
    debate_id: Mapped[key] = references("consensus.id", ondelete="CASCADE")
    agent_id: Mapped[key]
    dissent_type: Mapped[DissentType] = mapped_column(EnumText(DissentType))
    content: Mapped[str]
    confidence: Mapped[float | None]
    timestamp: Mapped[datetime | None]
    data: Mapped[dict[str, Any]]


index(Dissent, "debate", "dissents of one consensus", Dissent.debate_id, newest_first(Dissent.timestamp))
index(Dissent, "agent", "dissents of one agent", Dissent.agent_id, newest_first(Dissent.timestamp))
index(
    Dissent,
    "type",
    "dissents of one type, such as risk warnings",
    Dissent.dissent_type,
    newest_first(Dissent.timestamp),
)
index(Dissent, "timestamp", "recent dissents and clean-up by age", newest_first(Dissent.timestamp), Dissent.id)


class VerifiedProof(Base):
    """A formal statement about a consensus, and whether a prover could show it."""

    __tablename__ = "verified_proofs"

    id: Mapped[key] = mapped_column(primary_key=True)
    debate_id: Mapped[key] = references("consensus.id", ondelete="CASCADE")
    proof_status: Mapped[key]
    language: Mapped[key | None]
    formal_statement: Mapped[str | None]
    is_verified: Mapped[Flag]
    proof_hash: Mapped[key | None]
    translation_time_ms: Mapped[float | None]
    proof_search_time_ms: Mapped[float | None]
    prover_version: Mapped[str | None]
    error_message: Mapped[str | None]
    timestamp: Mapped[datetime]
    data: Mapped[dict[str, Any]]


index(VerifiedProof, "debate", "newest proof of one consensus", VerifiedProof.debate_id, VerifiedProof.timestamp.desc())
index(VerifiedProof, "status", "proofs by status", VerifiedProof.proof_status, VerifiedProof.timestamp.desc())
index(VerifiedProof, "verified", "verified proofs", VerifiedProof.is_verified, VerifiedProof.timestamp.desc())


class ConsensusArchive(Base):
    """A consensus that clean-up moved away, as it was."""

    __tablename__ = "consensus_archive"

    id: Mapped[key] = mapped_column(primary_key=True)
    topic: Mapped[str]
    topic_hash: Mapped[key]
    conclusion: Mapped[str]
    strength: Mapped[ConsensusStrength] = mapped_column(EnumText(ConsensusStrength))
    confidence: Mapped[float | None]
    domain: Mapped[key | None]
    tags: Mapped[list[Any] | None]
    timestamp: Mapped[datetime | None]
    data: Mapped[dict[str, Any]]
    archived_at: Mapped[CreatedAt]


index(ConsensusArchive, "archived_at", "archive by age", ConsensusArchive.archived_at)


class DissentArchive(Base):
    """A dissent that clean-up moved away. Its consensus may be gone: no foreign key here."""

    __tablename__ = "dissent_archive"

    id: Mapped[key] = mapped_column(primary_key=True)
    debate_id: Mapped[key]
    agent_id: Mapped[key]
    dissent_type: Mapped[DissentType] = mapped_column(EnumText(DissentType))
    content: Mapped[str]
    confidence: Mapped[float | None]
    timestamp: Mapped[datetime | None]
    data: Mapped[dict[str, Any]]
    archived_at: Mapped[CreatedAt]


index(DissentArchive, "debate", "archived dissents of one consensus", DissentArchive.debate_id)
index(DissentArchive, "archived_at", "archive by age", DissentArchive.archived_at)


class VerifiedProofArchive(Base):
    """A proof that clean-up moved away with its consensus."""

    __tablename__ = "verified_proofs_archive"

    id: Mapped[key] = mapped_column(primary_key=True)
    debate_id: Mapped[key]
    proof_status: Mapped[key]
    language: Mapped[key | None]
    formal_statement: Mapped[str | None]
    is_verified: Mapped[Flag]
    proof_hash: Mapped[key | None]
    translation_time_ms: Mapped[float | None]
    proof_search_time_ms: Mapped[float | None]
    prover_version: Mapped[str | None]
    error_message: Mapped[str | None]
    timestamp: Mapped[datetime]
    data: Mapped[dict[str, Any]]
    archived_at: Mapped[CreatedAt]


index(VerifiedProofArchive, "debate", "archived proofs of one consensus", VerifiedProofArchive.debate_id)
index(VerifiedProofArchive, "archived_at", "archive by age", VerifiedProofArchive.archived_at)
