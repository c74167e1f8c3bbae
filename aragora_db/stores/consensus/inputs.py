"""What `ConsensusStore` takes: a new consensus, dissent or proof.

The record (`data`) has Aragora's field names. Columns and record are made of the same values, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aragora_db.errors import InvalidValue
from aragora_db.models import ConsensusStrength, DissentType
from aragora_db.rules import consensus as rules
from aragora_db.stores import checks

__all__ = ["NewConsensus", "NewDissent", "NewProof"]


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class NewConsensus:
    """What a debate concluded.

    Attributes:
        topic: what the debate was about.
        conclusion: what was concluded.
        strength: how united the agents were, a `ConsensusStrength` or the text of one.
        confidence: 0 to 1.
        participating_agents: names, each once; so are the next two.
        agreeing_agents: who agreed.
        dissenting_agents: who did not.
        key_claims: texts.
        domain: the domain of the topic, or None.
        tags: texts, each once.
        debate_duration_seconds: 0 or more.
        rounds: how many rounds the debate took.
        supporting_evidence: JSON values.
        metadata: JSON values by name. ``supersedes``, in which Aragora keeps chains, is refused: use `supersede`.
        belief_cruxes: at most five JSON objects.
        id: its key; None makes a UUID.
    """

    topic: str
    conclusion: str
    strength: str
    confidence: float
    participating_agents: Sequence[str] = ()
    agreeing_agents: Sequence[str] = ()
    dissenting_agents: Sequence[str] = ()
    key_claims: Sequence[str] = ()
    domain: str | None = rules.DEFAULT_DOMAIN
    tags: Sequence[str] = ()
    debate_duration_seconds: float = 0.0
    rounds: int = 0
    supporting_evidence: Sequence[Any] = ()
    metadata: Mapping[str, Any] = field(default_factory=_nothing)
    belief_cruxes: Sequence[Mapping[str, Any]] = ()
    id: str | None = None

    def row(self, timestamp: datetime) -> dict[str, Any]:
        """Return the checked values by attribute.

        Raises:
            InvalidValue: a value is out of range.
        """
        if "supersedes" in self.metadata:
            raise InvalidValue("metadata has `supersedes`; link the two with supersede(), which keeps both ends")
        if len(self.belief_cruxes) > rules.MAX_CRUXES:
            raise InvalidValue(
                f"belief_cruxes has {len(self.belief_cruxes)}; keep the {rules.MAX_CRUXES} that matter most"
            )
        consensus_id = _id(self.id)
        columns: dict[str, Any] = {
            "id": consensus_id,
            "topic": checks.name("topic", self.topic),
            "topic_hash": _hash(self.topic),
            "conclusion": _text("conclusion", self.conclusion),
            "strength": str(checks.member("strength", ConsensusStrength, self.strength)),
            "confidence": checks.share("confidence", self.confidence),
            "domain": None if self.domain is None else checks.key("domain", self.domain),
            "tags": checks.names("tags", self.tags),
        }
        data = {
            **columns,
            "timestamp": timestamp.astimezone(UTC).isoformat(),
            "participating_agents": checks.names("participating_agents", self.participating_agents),
            "agreeing_agents": checks.names("agreeing_agents", self.agreeing_agents),
            "dissenting_agents": checks.names("dissenting_agents", self.dissenting_agents),
            "key_claims": _texts("key_claims", self.key_claims),
            "supporting_evidence": list(self.supporting_evidence),
            "dissent_ids": [],
            "debate_duration_seconds": _seconds("debate_duration_seconds", self.debate_duration_seconds),
            "rounds": checks.count("rounds", self.rounds),
            "supersedes": None,
            "superseded_by": None,
            "metadata": dict(self.metadata),
        }
        if self.belief_cruxes:
            data["belief_cruxes"] = [dict(crux) for crux in self.belief_cruxes]
        return {**columns, "timestamp": timestamp, "data": data}


@dataclass(frozen=True)
class NewDissent:
    """Why an agent did not agree.

    Attributes:
        debate_id: the consensus.
        agent_id: the agent.
        dissent_type: a `DissentType` or the text of one.
        content: the objection.
        reasoning: what it rests on.
        confidence: 0 to 1.
        metadata: JSON values by name.
        id: its key; None makes a UUID.
    """

    debate_id: str
    agent_id: str
    dissent_type: str
    content: str
    reasoning: str = ""
    confidence: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=_nothing)
    id: str | None = None

    def row(self, timestamp: datetime) -> dict[str, Any]:
        """Return the checked values by attribute.

        Raises:
            InvalidValue: a value is out of range.
        """
        columns: dict[str, Any] = {
            "id": _id(self.id),
            "debate_id": checks.key("debate_id", self.debate_id),
            "agent_id": checks.key("agent_id", self.agent_id),
            "dissent_type": str(checks.member("dissent_type", DissentType, self.dissent_type)),
            "content": _text("content", self.content),
            "confidence": checks.share("confidence", self.confidence),
        }
        data = {
            **columns,
            "reasoning": _text("reasoning", self.reasoning),
            "acknowledged": False,
            "rebuttal": "",
            "timestamp": timestamp.astimezone(UTC).isoformat(),
            "metadata": dict(self.metadata),
        }
        return {**columns, "timestamp": timestamp, "data": data}


@dataclass(frozen=True)
class NewProof:
    """A prover's attempt at a formal statement about a consensus.

    Attributes:
        debate_id: the consensus.
        proof_status: the outcome as the prover names it, such as ``proof_found``.
        is_verified: whether the statement was proved.
        language: of the statement, such as ``lean4``.
        formal_statement: the statement.
        proof_hash: of the proof.
        translation_time_ms: time to write the statement, in milliseconds.
        proof_search_time_ms: time to search for a proof, in milliseconds.
        prover_version: as the prover reports it.
        error_message: why there is no proof.
        id: its key; None makes a UUID.
    """

    debate_id: str
    proof_status: str
    is_verified: bool = False
    language: str | None = None
    formal_statement: str | None = None
    proof_hash: str | None = None
    translation_time_ms: float | None = None
    proof_search_time_ms: float | None = None
    prover_version: str | None = None
    error_message: str | None = None
    id: str | None = None

    def row(self, timestamp: datetime) -> dict[str, Any]:
        """Return the checked values by attribute.

        Raises:
            InvalidValue: a value is out of range.
        """
        status = checks.key("proof_status", self.proof_status)
        columns: dict[str, Any] = {
            "language": self.language,
            "formal_statement": self.formal_statement,
            "is_verified": self.is_verified,
            "proof_hash": self.proof_hash,
            "translation_time_ms": _milliseconds("translation_time_ms", self.translation_time_ms),
            "proof_search_time_ms": _milliseconds("proof_search_time_ms", self.proof_search_time_ms),
            "prover_version": self.prover_version,
            "error_message": self.error_message,
        }
        return {
            "id": _id(self.id),
            "debate_id": checks.key("debate_id", self.debate_id),
            "proof_status": status,
            **columns,
            "timestamp": timestamp,
            "data": {"status": status, **columns},
        }


def _id(given: str | None) -> str:
    return str(uuid4()) if given is None else checks.key("id", given)


def _hash(topic: str) -> str:
    try:
        return rules.topic_hash(topic)
    except UnicodeEncodeError:
        raise InvalidValue("topic must be text that UTF-8 can encode (no lone surrogates)") from None


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{argument} is {value!r}; it must be text")
    return value


def _texts(argument: str, values: Sequence[Any]) -> list[str]:
    if isinstance(values, str):
        raise InvalidValue(f"{argument} is one text; pass a list of texts")
    return [_text(argument, value) for value in values]


def _seconds(argument: str, value: Any) -> float:
    number = checks.finite(argument, value)
    if number < 0:
        raise InvalidValue(f"{argument} is {value!r}; it must be 0 or more")
    return number


def _milliseconds(argument: str, value: Any) -> float | None:
    return None if value is None else _seconds(argument, value)
