"""Claims and statements as the caller gives them, and the checked columns of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from aragora_db.errors import InvalidValue
from aragora_db.models import PositionOutcome
from aragora_db.stores import checks

__all__ = ["MAX_TYPE", "NewPosition", "NewStatement", "position_row", "statement_row"]

MAX_TYPE: Final = 64
"""Characters of a statement's type; the table checks the same."""


@dataclass(frozen=True)
class NewPosition:
    """A claim to record.

    Attributes:
        agent_name: who claims it.
        claim: what.
        confidence: how sure the agent is, 0 to 1.
        debate_id: in which debate.
        round_num: in which round of it, from 0.
        domain: the field of the claim, such as ``security``.
    """

    agent_name: str
    claim: str
    confidence: float
    debate_id: str
    round_num: int
    domain: str | None = None


@dataclass(frozen=True)
class NewStatement:
    """A statement of an agent in a debate, to record.

    Attributes:
        debate_id: the debate.
        agent_name: the agent.
        position_type: what kind of statement, such as ``proposal``, ``critique`` or ``vote``.
        position_text: what it said.
        round_num: in which round, from 0.
        confidence: how sure it was, 0 to 1.
    """

    debate_id: str
    agent_name: str
    position_type: str
    position_text: str
    round_num: int = 0
    confidence: float = 0.5


def position_row(position: NewPosition, created_at: datetime) -> dict[str, Any]:
    """Return the columns of a new position, whose outcome is pending.

    Raises:
        InvalidValue: a value is out of range.
    """
    domain = position.domain
    return {
        "id": str(uuid4()),
        "agent_name": checks.key("agent_name", position.agent_name),
        "claim": checks.name("claim", position.claim),
        "confidence": checks.share("confidence", position.confidence),
        "debate_id": checks.key("debate_id", position.debate_id),
        "round_num": checks.count("round_num", position.round_num),
        "domain": None if domain is None else checks.key("domain", domain),
        "outcome": PositionOutcome.PENDING,
        "reversed": False,
        "created_at": created_at,
    }


def statement_row(statement: NewStatement, created_at: datetime) -> dict[str, Any]:
    """Return the columns of a statement, without an outcome.

    Raises:
        InvalidValue: a value is out of range.
    """
    row = {
        "debate_id": checks.key("debate_id", statement.debate_id),
        "agent_name": checks.key("agent_name", statement.agent_name),
        "position_type": checks.name("position_type", statement.position_type),
        "position_text": checks.name("position_text", statement.position_text),
        "round_num": checks.count("round_num", statement.round_num),
        "confidence": checks.share("confidence", statement.confidence),
        "created_at": created_at,
    }
    length = len(statement.position_type)
    if length > MAX_TYPE:
        raise InvalidValue(f"position_type has {length} characters; it must have at most {MAX_TYPE}")
    return row
