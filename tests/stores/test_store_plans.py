"""The hot paths of the stores go through an index on both databases, and cost as many statements as they should."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from aragora_db.stores import (
    ConsensusStore,
    DebateStore,
    EloStore,
    GenesisStore,
    InsightStore,
    PersonaStore,
    PositionStore,
)

pytestmark = pytest.mark.slow

ROWS = 20_000
NUMBERS = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
FILL = [
    """INSERT INTO debates (id, slug, task, agents, artifact_json, org_id)
        SELECT 'd' || i, 's' || i, 'task ' || i, '[]', '{}', 'org' || (i % 500) FROM n""",
    "INSERT INTO debate_keywords (owner_id, words) SELECT 'd' || i, 'task w' || i || ' and some more words' FROM n",
    """INSERT INTO insights (id, type, title, debate_id, confidence)
        SELECT 'i' || i, 't' || (i % 200), 'title', 'd' || i, (i % 97) / 97.0 FROM n""",
    "INSERT INTO insight_keywords (owner_id, words) SELECT 'i' || i, 'title w' || i || ' and some more words' FROM n",
    "INSERT INTO genomes (genome_id, name, fitness_score) SELECT 'g' || i, 'n' || i, (i % 101) / 101.0 FROM n",
    """INSERT INTO genesis_events (event_id, event_type, timestamp, content_hash)
        SELECT 'e' || i, 't' || (i % 300), {now}, '' FROM n""",
    """INSERT INTO consensus (id, topic, topic_hash, conclusion, strength, confidence, domain, timestamp, data)
        SELECT 'c' || i, 'topic w' || i, '', 'x', 'weak', 0.5, 'x' || (i % 300), {now}, '{}' FROM n""",
    "INSERT INTO consensus_topic_words (consensus_id, word, topic_size) SELECT 'c' || i, 'w' || (i / 4), 2 FROM n",
    """INSERT INTO dissent (id, debate_id, agent_id, dissent_type, content, timestamp, data)
        SELECT 'x' || i, 'c' || i, 'a' || (i % 300), 'abstention', 'no', {now}, '{}' FROM n""",
    "INSERT INTO performance_history (agent_name, domain, success) SELECT 'a' || (i % 300), 'x', i % 2 = 0 FROM n",
    """INSERT INTO positions (id, agent_name, claim, confidence, debate_id, round_num)
        SELECT 'p' || i, 'a' || (i % 300), 'claim', 0.5, 'd' || i, 1 FROM n""",
    "INSERT INTO elo_ratings (agent_name, elo) SELECT 'a' || i, 1500 + i % 100 FROM n",
    "INSERT INTO elo_matches (debate_id) SELECT 'd' || i FROM n",
    "INSERT INTO elo_match_participants (match_id, agent_name, position) SELECT id, 'a' || id, 0 FROM elo_matches",
]


@pytest.fixture
def large(plain_database):
    """Twenty thousand rows in each table, and statistics."""

    def fill(session):
        now = "now()" if "postgresql" in str(session.get_bind().url) else "'2026-01-01 00:00:00.000000+00:00'"
        for statement in FILL:
            session.execute(sa.text(f"{NUMBERS} {statement.replace('{now}', now)}"))
        session.execute(sa.text("ANALYZE"))

    plain_database.transact(fill)
    return plain_database


# What is called, and how many statements it sends.
CALLS = {
    "debates": (1, lambda session: DebateStore(session).list(limit=20)),
    "debates of a tenant": (1, lambda session: DebateStore(session, org_id="org7").list(limit=20)),
    "a debate by its slug": (1, lambda session: DebateStore(session).by_slug("s77")),
    "a view": (1, lambda session: DebateStore(session).view("s77")),
    "debates by words": (1, lambda session: DebateStore(session).search("w77")),
    "insights by words": (1, lambda session: InsightStore(session).search("w77")),
    "recent insights": (1, lambda session: InsightStore(session).recent(limit=20)),
    "the most confident of a type": (1, lambda session: InsightStore(session).most_confident(type="t7", limit=20)),
    "the fittest": (1, lambda session: GenesisStore(session).fittest(limit=20)),
    "events of a type": (1, lambda session: GenesisStore(session).events(event_type="t7", limit=20)),
    "history of a domain": (1, lambda session: ConsensusStore(session).history(domain="x7", limit=20)),
    "dissents of an agent": (1, lambda session: ConsensusStore(session).dissents(agent_id="a7", limit=20)),
    "an agent's actions": (1, lambda session: PersonaStore(session).history("a7", limit=20)),
    "an agent's positions": (1, lambda session: PositionStore(session).of_agent("a7", limit=20)),
    "a match": (1, lambda session: EloStore(session).record_match("new", ["a1", "a2"], {"a1": 1.0, "a2": 0.0}, "x")),
    "a match of new agents": (
        3,
        lambda session: EloStore(session).record_match("newer", ["b1", "b2"], {"b1": 1, "b2": 0}),
    ),
    "a repeated match": (
        2,
        lambda session: EloStore(session).record_match("new", ["a1", "a2"], {"a1": 1.0, "a2": 0.0}, "x"),
    ),
}


@pytest.mark.slow
def test_no_table_is_read_whole(large, count_statements, plan_of):
    """A plan that reads everything is fast in every test and slow in the first busy week."""
    for name, (most, call) in CALLS.items():
        with count_statements(large) as sent:
            result = large.transact(call)
        assert getattr(result, "items", result), f"{name} found nothing, which proves nothing"
        assert len(sent) <= most, (name, [statement.text for statement in sent])
        for statement in sent:
            if not statement.text.startswith("-- "):
                plan = large.transact(lambda session, statement=statement: plan_of(session, statement))
                assert not plan.scanned, (name, plan.lines)
