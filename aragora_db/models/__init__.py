"""The declarative tables, a module per domain. They hold rows; what is done with them lives in the stores."""

from aragora_db.models.base import Base
from aragora_db.models.calibration import EloCalibrationBucket, EloCalibrationPrediction, EloDomainCalibration
from aragora_db.models.consensus import (
    Consensus,
    ConsensusArchive,
    ConsensusStrength,
    ConsensusTopicWord,
    Dissent,
    DissentArchive,
    DissentType,
    VerifiedProof,
    VerifiedProofArchive,
)
from aragora_db.models.continuum import (
    ContinuumEmbedding,
    ContinuumKeywords,
    ContinuumMemory,
    ContinuumMemoryArchive,
    MetaLearningState,
    Tier,
    TierTransition,
)
from aragora_db.models.debates import Critique, Debate, DebateKeywords, DebateResult
from aragora_db.models.elo import (
    EloAgentRelationship,
    EloDomainRating,
    EloHeadToHead,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
)
from aragora_db.models.genesis import ActivePopulation, GenesisEvent, Genome, Population
from aragora_db.models.insights import (
    AgentPerformance,
    DebateSummary,
    Insight,
    InsightKeywords,
    InsightUsage,
    PatternCluster,
    WisdomSubmission,
)
from aragora_db.models.persona_lab import EmergentTrait, EvolutionHistory, Experiment, TraitTransfer
from aragora_db.models.personas import Persona, PersonaPerformance
from aragora_db.models.positions import (
    DebateOutcome,
    DetectedFlip,
    FlipType,
    Position,
    PositionHistory,
    PositionOutcome,
)
from aragora_db.models.schema_history import SchemaHistory
from aragora_db.models.tournaments import Tournament, TournamentEvent, TournamentMatch, TournamentStatus

__all__ = [
    "ActivePopulation",
    "AgentPerformance",
    "Base",
    "Consensus",
    "ConsensusArchive",
    "ConsensusStrength",
    "ConsensusTopicWord",
    "ContinuumEmbedding",
    "ContinuumKeywords",
    "ContinuumMemory",
    "ContinuumMemoryArchive",
    "Critique",
    "Debate",
    "DebateKeywords",
    "DebateOutcome",
    "DebateResult",
    "DebateSummary",
    "DetectedFlip",
    "Dissent",
    "DissentArchive",
    "DissentType",
    "EloAgentRelationship",
    "EloCalibrationBucket",
    "EloCalibrationPrediction",
    "EloDomainCalibration",
    "EloDomainRating",
    "EloHeadToHead",
    "EloHistory",
    "EloMatch",
    "EloMatchParticipant",
    "EloRating",
    "EmergentTrait",
    "EvolutionHistory",
    "Experiment",
    "FlipType",
    "GenesisEvent",
    "Genome",
    "Insight",
    "InsightKeywords",
    "InsightUsage",
    "MetaLearningState",
    "PatternCluster",
    "Persona",
    "PersonaPerformance",
    "Population",
    "Position",
    "PositionHistory",
    "PositionOutcome",
    "SchemaHistory",
    "Tier",
    "TierTransition",
    "Tournament",
    "TournamentEvent",
    "TournamentMatch",
    "TournamentStatus",
    "TraitTransfer",
    "VerifiedProof",
    "VerifiedProofArchive",
    "WisdomSubmission",
]
