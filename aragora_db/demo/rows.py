"""What one debate leaves in the database, in one unit of work, through the stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aragora_db.demo.cast import AGENTS
from aragora_db.models import EloRating
from aragora_db.rules import elo
from aragora_db.stores import ConsensusStore, DebateStore, EloStore, PersonaStore, PositionStore
from aragora_db.stores.consensus import NewConsensus, NewDissent
from aragora_db.stores.debates import NewCritique, NewDebate, NewResult
from aragora_db.stores.positions import NewPosition, NewStatement

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from aragora_db.demo.debate import Argued

__all__ = ["add_cast", "add_debate", "add_match"]


def add_cast(session: Session) -> None:
    """A persona and a rating for every agent that has none yet."""
    personas = PersonaStore(session)
    known = personas.get_many([agent.name for agent in AGENTS])
    for agent in AGENTS:
        if agent.name not in known:
            personas.upsert(agent.name, description=agent.description, traits=agent.traits, expertise=agent.expertise)
            session.add(EloRating(agent_name=agent.name, elo=elo.INITIAL_RATING))


def add_debate(session: Session, argued: Argued) -> None:
    """The debate with its proposals and critiques, the positions taken, and what was agreed on or not."""
    task, domain, reached = argued.topic.task, argued.topic.domain, argued.winner is not None
    answer = argued.claims[argued.winner] if argued.winner is not None else None
    debates, personas, positions = DebateStore(session), PersonaStore(session), PositionStore(session)
    document = {"domain": domain, "proposals": argued.claims, "scores": argued.scores, "answer": answer}
    debates.create(
        NewDebate(
            task,
            list(argued.claims),
            document,
            id=argued.id,
            consensus_reached=reached,
            confidence=argued.confidence,
        )
    )
    critiques = [NewCritique(each.agent, each.target, [each.issue], (), each.severity) for each in argued.criticisms]
    debates.record_result(
        NewResult(
            argued.id,
            task,
            final_answer=answer,
            consensus_reached=reached,
            confidence=argued.confidence,
            rounds_used=2,
            critiques=critiques,
        )
    )
    for said, each in zip(debates.critiques(argued.id), argued.criticisms, strict=True):
        debates.judge_critique(said.id, led_to_improvement=each.helped, actual_usefulness=each.severity)
    positions.record_many(
        NewPosition(name, claim, argued.scores[name] / 10, argued.id, 1, domain)
        for name, claim in argued.claims.items()
    )
    for name, claim in argued.claims.items():
        positions.record_statement(NewStatement(argued.id, name, "proposal", claim, 1, argued.scores[name] / 10))
        if reached:
            personas.record_performance(
                name, domain, success=name == argued.winner, debate_id=argued.id, action="proposal"
            )
    positions.finalize_debate(argued.id, argued.winner, winning_position=answer, consensus_confidence=argued.confidence)
    if answer is not None:
        _add_consensus(session, argued, answer)


def _add_consensus(session: Session, argued: Argued, answer: str) -> None:
    store = ConsensusStore(session)
    dissenting = [each.agent for each in argued.objections]
    store.store(
        NewConsensus(
            argued.topic.task,
            answer,
            argued.strength,
            argued.confidence,
            participating_agents=list(argued.claims),
            agreeing_agents=[name for name in argued.claims if name not in dissenting],
            dissenting_agents=dissenting,
            domain=argued.topic.domain,
            tags=[argued.topic.domain],
            rounds=2,
            id=argued.id,
        )
    )
    for each in argued.objections:
        store.store_dissent(
            NewDissent(
                argued.id,
                each.agent,
                each.kind,
                each.content,
                confidence=each.confidence,
                id=f"{argued.id}-{each.agent}",
            )
        )


def add_match(session: Session, argued: Argued) -> None:
    """The match, which moves every rating, and the critiques that count for those who gave them."""
    store = EloStore(session)
    store.record_match(
        argued.id, list(argued.scores), argued.scores, argued.topic.domain, confidence_weight=argued.confidence
    )
    for each in argued.criticisms:
        store.record_critique(each.agent, accepted=each.helped)
