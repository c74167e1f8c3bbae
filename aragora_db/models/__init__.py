"""The declarative tables, a module per domain. They hold rows; what is done with them lives in the stores."""

from aragora_db.models.access import RevokedToken, WebhookConfig
from aragora_db.models.base import Base
from aragora_db.models.calibration import EloCalibrationBucket, EloCalibrationPrediction, EloDomainCalibration
from aragora_db.models.calibration_tracker import AgentPrediction, TemperatureParams
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
from aragora_db.models.critique_store import (
    AgentReputation,
    CritiquePattern,
    CritiquePatternArchive,
    CritiquePatternEmbedding,
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
from aragora_db.models.embeddings import DebateEmbedding
from aragora_db.models.fencing import FencingToken
from aragora_db.models.genesis import ActivePopulation, GenesisEvent, Genome, Population
from aragora_db.models.imports import ImportedTable, LegacyRow
from aragora_db.models.insights import (
    AgentPerformance,
    DebateSummary,
    Insight,
    InsightKeywords,
    InsightUsage,
    PatternCluster,
    WisdomSubmission,
)
from aragora_db.models.memory_streams import AgentMemory, ReflectionSchedule
from aragora_db.models.meta_learning import MetaEfficiency, MetaHyperparams
from aragora_db.models.nomic_evolution import CycleEvolution, CycleFileChange, NomicRollback
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
from aragora_db.models.prompts import ExtractedPattern, PromptEvolution, PromptVersion, VulnerabilityPattern
from aragora_db.models.schema_history import SchemaHistory
from aragora_db.models.tournaments import Tournament, TournamentEvent, TournamentMatch, TournamentStatus
from aragora_db.models.traces import DebateTrace, TraceEvent

__all__ = [
    "ActivePopulation",
    "AgentMemory",
    "AgentPerformance",
    "AgentPrediction",
    "AgentReputation",
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
    "CritiquePattern",
    "CritiquePatternArchive",
    "CritiquePatternEmbedding",
    "CycleEvolution",
    "CycleFileChange",
    "Debate",
    "DebateEmbedding",
    "DebateKeywords",
    "DebateOutcome",
    "DebateResult",
    "DebateSummary",
    "DebateTrace",
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
    "ExtractedPattern",
    "FencingToken",
    "FlipType",
    "GenesisEvent",
    "Genome",
    "ImportedTable",
    "Insight",
    "InsightKeywords",
    "InsightUsage",
    "LegacyRow",
    "MetaEfficiency",
    "MetaHyperparams",
    "MetaLearningState",
    "NomicRollback",
    "PatternCluster",
    "Persona",
    "PersonaPerformance",
    "Population",
    "Position",
    "PositionHistory",
    "PositionOutcome",
    "PromptEvolution",
    "PromptVersion",
    "ReflectionSchedule",
    "RevokedToken",
    "SchemaHistory",
    "TemperatureParams",
    "Tier",
    "TierTransition",
    "Tournament",
    "TournamentEvent",
    "TournamentMatch",
    "TournamentStatus",
    "TraceEvent",
    "TraitTransfer",
    "VerifiedProof",
    "VerifiedProofArchive",
    "VulnerabilityPattern",
    "WebhookConfig",
    "WisdomSubmission",
]
