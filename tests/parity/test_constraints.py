"""What one engine refuses, every engine refuses, with the same error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db.errors import CheckViolation, ForeignKeyViolation, InvalidValue, NotNullViolation, UniqueViolation
from aragora_db.models import (
    ActivePopulation,
    Consensus,
    ConsensusTopicWord,
    ContinuumEmbedding,
    ContinuumKeywords,
    ContinuumMemory,
    Dissent,
    EloAgentRelationship,
    EloCalibrationBucket,
    EloDomainRating,
    EloHeadToHead,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
    GenesisEvent,
    Persona,
    TierTransition,
    Tournament,
    TournamentEvent,
    TournamentMatch,
)

NOW = datetime(2026, 1, 15, tzinfo=UTC)


def _consensus(**values: Any) -> Consensus:
    return Consensus(
        **{"id": "c", "topic": "t", "topic_hash": "h", "conclusion": "c", "strength": "strong", "data": {}} | values
    )


def _dissent(**values: Any) -> Dissent:
    return Dissent(
        **{"id": "d", "debate_id": "c", "agent_id": "a", "dissent_type": "abstention", "content": "", "data": {}}
        | values
    )


def _tournament() -> Tournament:
    return Tournament(tournament_id="t", name="t")


def _meeting() -> TournamentMatch:
    return TournamentMatch(match_id="m", tournament_id="t", round_num=1, agent1="a", agent2="b")


REFUSED = {
    "orphan dissent": (ForeignKeyViolation, lambda: [_dissent(debate_id="nowhere")]),
    "orphan transition": (
        ForeignKeyViolation,
        lambda: [TierTransition(memory_id="nowhere", from_tier="slow", to_tier="fast")],
    ),
    "same key": (UniqueViolation, lambda: [Persona(agent_name="a"), Persona(agent_name="a")]),
    "same unique text": (UniqueViolation, lambda: [EloMatch(debate_id="x"), EloMatch(debate_id="x")]),
    "same position": (
        UniqueViolation,
        lambda: [
            EloMatch(
                participants={
                    name: EloMatchParticipant(agent_name=name, position=0, score=None, elo_change=None) for name in "ab"
                }
            )
        ],
    ),
    "missing": (NotNullViolation, lambda: [EloHistory(agent_name="a", elo=None, created_at=NOW)]),
    "missing key": (NotNullViolation, lambda: [EloHistory(elo=1.0)]),
    "order of a pair": (CheckViolation, lambda: [EloAgentRelationship(agent_a="b", agent_b="a")]),
    "order of those who met": (CheckViolation, lambda: [EloHeadToHead(agent_a="b", agent_b="a")]),
    "vector of nobody": (ForeignKeyViolation, lambda: [ContinuumEmbedding(memory_id="nowhere", embedding=[1.0])]),
    "two vectors": (
        UniqueViolation,
        lambda: [
            ContinuumMemory(id="m", content=""),
            *(ContinuumEmbedding(memory_id="m", embedding=[n]) for n in (1.0, 2.0)),
        ],
    ),
    "empty vector": (
        InvalidValue,
        lambda: [ContinuumMemory(id="m", content=""), ContinuumEmbedding(memory_id="m", embedding=[])],
    ),
    "same agent twice": (CheckViolation, lambda: [EloAgentRelationship(agent_a="a", agent_b="a")]),
    "second population": (CheckViolation, lambda: [ActivePopulation(id=2)]),
    "long bucket": (CheckViolation, lambda: [EloCalibrationBucket(agent_name="a", domain="d", bucket_key="k" * 17)]),
    "unknown tier": (InvalidValue, lambda: [ContinuumMemory(id="m", content="", tier="lukewarm")]),
    "tier in capitals": (InvalidValue, lambda: [ContinuumMemory(id="m", content="", tier="SLOW")]),
}


@pytest.mark.parametrize(("error", "rows"), REFUSED.values(), ids=REFUSED)
def test_refused(scratch, error, rows):
    """A store that handles an error on the laptop must meet the same error in production."""

    def work(session):
        session.add_all(rows())
        session.flush()

    with pytest.raises(error) as caught:
        scratch(work)
    assert type(caught.value) is error


RAW_REFUSED = {
    "enum": "INSERT INTO continuum_memory (id, content, tier) VALUES ('m', '', 'lukewarm')",
    "met": "INSERT INTO elo_head_to_head (agent_a, agent_b) VALUES ('b', 'a')",
    "status": "INSERT INTO tournaments (tournament_id, name, status) VALUES ('t', 't', 'postponed')",
    "pair": "INSERT INTO elo_agent_relationships (agent_a, agent_b) VALUES ('b', 'a')",
    "enum update": "UPDATE consensus SET strength = 'iron'",
}


@pytest.mark.parametrize("statement", RAW_REFUSED.values(), ids=RAW_REFUSED)
def test_raw_check(scratch, statement):
    """SQL written by hand meets the same CHECKs."""

    def work(session):
        session.add(_consensus())
        session.flush()
        session.execute(sa.text(statement))

    with pytest.raises(CheckViolation):
        scratch(work)


def test_code_points_in_checks(scratch):
    """The order of a pair is that of code points: 'Z' < 'a' < 'ä', whatever the locale."""
    pairs = [("Z", "a"), ("a", "ä"), ("", "A"), ("a", "a ")]

    def work(session):
        session.add_all([EloAgentRelationship(agent_a=a, agent_b=b) for a, b in pairs])
        session.flush()

    scratch(work)


def test_unique_nulls(scratch):
    """Matches of no debate are many; a debate is scored once."""

    def work(session):
        session.add_all([EloMatch(), EloMatch(), EloMatch(debate_id="")])
        session.flush()
        return session.scalar(sa.select(sa.func.count()).select_from(EloMatch))

    assert scratch(work) == 3


CASCADES = [
    (lambda: [_consensus(), _dissent()], Consensus, Dissent),
    (
        lambda: [
            ContinuumMemory(id="m", content=""),
            TierTransition(memory_id="m", from_tier="slow", to_tier="fast"),
        ],
        ContinuumMemory,
        TierTransition,
    ),
    (lambda: [EloRating(agent_name="a", domain_elos={"x": 1.0, "y": 2.0})], EloRating, EloDomainRating),
    (lambda: [_consensus()], Consensus, ConsensusTopicWord),
    (lambda: [ContinuumMemory(id="m", content="c")], ContinuumMemory, ContinuumKeywords),
    (
        lambda: [ContinuumMemory(id="m", content=""), ContinuumEmbedding(memory_id="m", embedding=[0.5])],
        ContinuumMemory,
        ContinuumEmbedding,
    ),
    (lambda: [_tournament(), _meeting()], Tournament, TournamentMatch),
    (
        lambda: [_tournament(), TournamentEvent(entry_id="e", tournament_id="t", event_type="created")],
        Tournament,
        TournamentEvent,
    ),
]


@pytest.mark.parametrize("through_orm", [True, False], ids=["session", "statement"])
@pytest.mark.parametrize(("rows", "parent", "child"), CASCADES)
def test_cascade(scratch, rows, parent, child, through_orm):
    """Children that outlive their parent are orphans, which the other database would not have."""

    def work(session):
        for row in rows():
            session.add(row)
            session.flush()
        before = session.scalar(sa.select(sa.func.count()).select_from(child))
        session.expunge_all()
        if through_orm:
            session.delete(session.scalars(sa.select(parent)).one())
            session.flush()
        else:
            session.execute(sa.delete(parent))
        return before > 0, session.scalar(sa.select(sa.func.count()).select_from(child))

    assert scratch(work) == (True, 0)


def test_parent_kept(scratch):
    """An event that others follow cannot vanish: the ledger would have a hole."""

    def work(session):
        for name, parent in (("1", None), ("2", "1")):
            session.add(
                GenesisEvent(event_id=name, event_type="t", timestamp=NOW, content_hash="h", parent_event_id=parent)
            )
            session.flush()
        session.execute(sa.delete(GenesisEvent).where(GenesisEvent.event_id == "1"))

    with pytest.raises(ForeignKeyViolation):
        scratch(work)


def test_types_of_raw_sql(both):
    """What PostgreSQL refuses by type, SQLite has to refuse by STRICT, or the laptop holds rows that cannot move."""
    statements = [
        "INSERT INTO elo_history (agent_name, elo) VALUES ('a', 'fast')",
        "INSERT INTO elo_ratings (agent_name, wins) VALUES ('a', 1.5)",
        "INSERT INTO personas (agent_name, description) VALUES ('a', x'00')",
    ]
    for statement in statements:
        with (
            pytest.raises(sa.exc.IntegrityError, match="cannot store"),
            both["sqlite"].session() as session,
        ):
            session.execute(sa.text(statement))
