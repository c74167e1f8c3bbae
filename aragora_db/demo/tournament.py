"""The tournament: a file of its own, one unit of work for each debate, and a look at what it all came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from aragora_db.config import Settings
from aragora_db.demo.debate import Argued, argue, number_of
from aragora_db.demo.memories import remember
from aragora_db.demo.rows import add_cast, add_debate, add_match
from aragora_db.models import Consensus, ContinuumMemory, Debate, Dissent, EloRating, TierTransition
from aragora_db.stores import EloStore

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from aragora_db.database import Database

__all__ = ["FinalStanding", "Finale", "demo_settings", "play", "prepare", "summarise"]

_URL: Final = "sqlite:///.nomic/demo.db"


@dataclass(frozen=True)
class FinalStanding:
    """An agent's place, and how far its rating moved in this run."""

    rank: int
    agent: str
    elo: float
    change: float
    wins: int
    losses: int
    draws: int
    best_domain: str | None


@dataclass(frozen=True)
class Finale:
    """What the file holds after a run. `consensus` and `dissent` are the last disputed ones, as rows' contents."""

    debates: int
    standings: tuple[FinalStanding, ...]
    memories: dict[str, int]
    moves: int
    consensus: dict[str, Any] | None
    dissent: dict[str, Any] | None


def demo_settings() -> Settings:
    """Settings that look at nothing but themselves: always ``.nomic/demo.db`` in the working directory."""
    return Settings.explicit(database_url=_URL)


def prepare(database: Database) -> dict[str, float]:
    """Bring the file to head and the agents into it.

    Returns:
        Every agent's rating at this moment.
    """
    database.migrate()

    def enter(session: Session) -> dict[str, float]:
        add_cast(session)
        session.flush()
        return {rating.agent_name: rating.elo for rating in session.scalars(select(EloRating))}

    return database.transact(enter)


def play(database: Database, debates: int, seed: int) -> Iterator[Argued]:
    """Hold debates, each in a unit of work of its own, and hand each on when it is committed.

    A debate's number is taken inside its unit of work, so a later run, or one beside this, goes on counting.
    """
    for _ in range(debates):
        yield database.transact(lambda session: _hold(session, seed))


def _hold(session: Session, seed: int) -> Argued:
    newest = session.scalar(select(func.max(Debate.id)))
    argued = argue(1 if newest is None else number_of(newest) + 1, seed)
    before = {name: rating.elo for name, rating in EloStore(session).get_ratings(argued.scores).items()}
    add_debate(session, argued)
    add_match(session, argued)
    remember(session, argued, before)
    return argued


def summarise(database: Database, before: dict[str, float]) -> Finale:
    """Read the file as it is now.

    Args:
        database: the demo's.
        before: what `prepare` returned.
    """

    def read(session: Session) -> Finale:
        disputed = session.execute(
            select(Consensus, Dissent)
            .join(Dissent, Dissent.debate_id == Consensus.id)
            .order_by(Consensus.id.desc(), Dissent.id)
            .limit(1)
        ).first()
        tiers = session.execute(select(ContinuumMemory.tier, func.count()).group_by(ContinuumMemory.tier))
        return Finale(
            debates=session.scalar(select(func.count()).select_from(Debate)) or 0,
            standings=tuple(_standings(session, before)),
            memories={tier.value: count for tier, count in tiers},
            moves=session.scalar(select(func.count()).select_from(TierTransition)) or 0,
            consensus=_consensus(disputed[0]) if disputed else None,
            dissent=_dissent(disputed[1]) if disputed else None,
        )

    return database.transact(read, read_only=True)


def _standings(session: Session, before: dict[str, float]) -> Iterator[FinalStanding]:
    best_first = session.scalars(select(EloRating).order_by(EloRating.elo.desc(), EloRating.agent_name))
    for rank, rating in enumerate(best_first, 1):
        domains = dict(rating.domain_elos)
        yield FinalStanding(
            rank=rank,
            agent=rating.agent_name,
            elo=round(rating.elo, 1),
            change=round(rating.elo - before[rating.agent_name], 1),
            wins=rating.wins,
            losses=rating.losses,
            draws=rating.draws,
            best_domain=max(sorted(domains), key=lambda domain: domains[domain], default=None),
        )


def _consensus(row: Consensus) -> dict[str, Any]:
    return {
        "debate_id": row.id,
        "topic": row.topic,
        "conclusion": row.conclusion,
        "strength": row.strength.value,
        "confidence": row.confidence,
    }


def _dissent(row: Dissent) -> dict[str, Any]:
    return {"agent": row.agent_id, "type": row.dissent_type.value, "content": row.content, "confidence": row.confidence}
