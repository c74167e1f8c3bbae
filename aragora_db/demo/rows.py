"""What one debate leaves in the database, in one unit of work."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from sqlalchemy import select

from aragora_db.demo.cast import AGENTS
from aragora_db.models import (
    Consensus,
    Critique,
    Debate,
    DebateResult,
    Dissent,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
    Persona,
    PersonaPerformance,
    Position,
    PositionHistory,
)
from aragora_db.models.base import utcnow
from aragora_db.rules import elo

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from aragora_db.demo.debate import Argued, Objection

__all__ = ["add_cast", "add_debate", "add_match", "load_ratings"]


def add_cast(session: Session) -> None:
    """A persona and a rating for every agent that has none yet."""
    known = set(session.scalars(select(Persona.agent_name)))
    for agent in AGENTS:
        if agent.name not in known:
            session.add(
                Persona(
                    agent_name=agent.name,
                    description=agent.description,
                    traits=list(agent.traits),
                    expertise=agent.expertise,
                )
            )
            session.add(EloRating(agent_name=agent.name, elo=elo.INITIAL_RATING))


def load_ratings(session: Session, names: list[str]) -> dict[str, EloRating]:
    """The ratings of these agents."""
    found = session.scalars(select(EloRating).where(EloRating.agent_name.in_(names)).order_by(EloRating.agent_name))
    return {rating.agent_name: rating for rating in found}


def add_debate(session: Session, argued: Argued) -> None:
    """The debate with its proposals and critiques, the positions taken, and what was agreed on or not."""
    task, domain, reached = argued.topic.task, argued.topic.domain, argued.winner is not None
    answer = argued.claims[argued.winner] if argued.winner is not None else None
    session.add(
        Debate(
            id=argued.id,
            slug=f"{_slug(task)}-{argued.id}",
            task=task,
            agents=list(argued.claims),
            artifact_json={"domain": domain, "proposals": argued.claims, "scores": argued.scores, "answer": answer},
            consensus_reached=reached,
            confidence=argued.confidence,
        )
    )
    session.add(
        DebateResult(
            id=argued.id,
            task=task,
            final_answer=answer,
            consensus_reached=reached,
            confidence=argued.confidence,
            rounds_used=2,
        )
    )
    session.flush()  # the critiques refer to the result by its key, which the unit of work does not sort by
    for each in argued.criticisms:
        session.add(
            Critique(
                debate_id=argued.id,
                agent=each.agent,
                target_agent=each.target,
                issues=[each.issue],
                suggestions=[],
                severity=each.severity,
                led_to_improvement=each.helped,
            )
        )
    for name, claim in argued.claims.items():
        _add_claim(session, argued, name, claim)
    if answer is not None:
        _add_consensus(session, argued, answer)


def _add_claim(session: Session, argued: Argued, name: str, claim: str) -> None:
    won = None if argued.winner is None else name == argued.winner
    session.add(
        PositionHistory(
            debate_id=argued.id,
            agent_name=name,
            position_type="proposal",
            position_text=claim,
            round_num=1,
            confidence=argued.scores[name] / 10,
            was_winning_position=won,
        )
    )
    session.add(
        Position(
            id=f"{argued.id}-{name}",
            agent_name=name,
            claim=claim,
            confidence=argued.scores[name] / 10,
            debate_id=argued.id,
            round_num=1,
            domain=argued.topic.domain,
        )
    )
    session.add(
        PersonaPerformance(
            agent_name=name, debate_id=argued.id, domain=argued.topic.domain, action="proposal", success=won
        )
    )


def _add_consensus(session: Session, argued: Argued, answer: str) -> None:
    dissenting = [each.agent for each in argued.objections]
    session.add(
        Consensus(
            id=argued.id,
            topic=argued.topic.task,
            topic_hash=_topic_hash(argued.topic.task),
            conclusion=answer,
            strength=argued.strength,
            confidence=argued.confidence,
            domain=argued.topic.domain,
            tags=[argued.topic.domain],
            timestamp=utcnow(),
            data={
                "participating_agents": list(argued.claims),
                "agreeing_agents": [name for name in argued.claims if name not in dissenting],
                "dissenting_agents": dissenting,
                "dissent_ids": [_dissent_id(argued, each) for each in argued.objections],
                "rounds": 2,
            },
        )
    )
    session.flush()  # as in add_debate
    for each in argued.objections:
        session.add(
            Dissent(
                id=_dissent_id(argued, each),
                debate_id=argued.id,
                agent_id=each.agent,
                dissent_type=each.kind,
                content=each.content,
                confidence=each.confidence,
                timestamp=utcnow(),
                data={"acknowledged": True},
            )
        )


def add_match(session: Session, argued: Argued, ratings: dict[str, EloRating]) -> dict[str, float]:
    """The match, its participants, and every rating moved by it: overall, in the domain, and in the history.

    Returns:
        The change of each participant's rating.
    """
    before = {name: rating.elo for name, rating in ratings.items()}
    changes = elo.pairwise_changes(before, argued.scores, confidence_weight=argued.confidence)
    match = EloMatch(debate_id=argued.id, winner=argued.winner, domain=argued.topic.domain)
    session.add(match)
    for position, (name, change) in enumerate(changes.items()):
        match.participants[name] = EloMatchParticipant(
            agent_name=name, position=position, score=argued.scores[name], elo_change=change
        )
        _move(ratings[name], argued, change)
        session.add(EloHistory(agent_name=name, elo=ratings[name].elo, debate_id=argued.id))
    return changes


def _move(rating: EloRating, argued: Argued, change: float) -> None:
    name, domain = rating.agent_name, argued.topic.domain
    rating.elo += change
    rating.domain_elos[domain] = rating.domain_elos.get(domain, elo.INITIAL_RATING) + change
    rating.debates_count += 1
    rating.wins += argued.winner == name
    rating.losses += argued.winner not in {None, name}
    rating.draws += argued.winner is None
    given = [each for each in argued.criticisms if each.agent == name]
    rating.critiques_total += len(given)
    rating.critiques_accepted += sum(each.helped for each in given)
    rating.updated_at = utcnow()


def _dissent_id(argued: Argued, objection: Objection) -> str:
    return f"{argued.id}-{objection.agent}"


def _slug(task: str) -> str:
    return "-".join(re.findall("[a-z]{4,}", task.lower())[:4])


def _topic_hash(topic: str) -> str:
    """As Aragora 2.8.0, memory/consensus.py:398: the same words in any order are the same topic."""
    words = " ".join(sorted(set(topic.lower().split())))
    return hashlib.sha256(words.encode()).hexdigest()[:16]
