"""Files that hold many of Aragora's: written so by itself, or by its migration tool."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aragora_db.models import Base

pytestmark = pytest.mark.slow

CONSOLIDATED = {
    "core.db": ("debates", "traces", "token_blacklist", "webhook_configs", "evolution", "aragora_positions"),
    "memory.db": ("continuum", "agent_memories", "consensus_memory", "agora_memory", "debate_embeddings"),
    "analytics.db": ("agent_elo", "aragora_insights", "agent_calibration", "prompt_evolution", "meta_learning"),
    "agents.db": ("agent_personas", "genesis", "tournaments"),
}
"""Which of Aragora's files are one when it consolidates at runtime."""

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def everything(importer) -> dict[str, list[tuple[object, ...]]]:
    """All rows of ours, but the ledger, what was parked, and keywords, whose numbers say nothing."""
    left_out = {"schema_history", "import_ledger", "legacy_rows"}
    names = [name for name in Base.metadata.tables if name not in left_out and not name.endswith("_keywords")]
    return {name: importer.rows(name) for name in names}


@pytest.mark.slow
def test_consolidated_at_runtime(into, sources, dialect):
    """The same classes in four files instead of many: the rows must not know the difference."""
    parts = sources.folder / "legacy"
    whole = sources.folder / "consolidated"
    for file, names in CONSOLIDATED.items():
        for name in names:
            script = sources.script(name)
            sources.write(f"legacy/{name}.db", script)
            tables = script.replace("CREATE TABLE _schema_versions", "CREATE TABLE IF NOT EXISTS _schema_versions")
            sources.write(f"consolidated/{file}", tables)
    one, other = into(dialect), into(dialect)
    legacy, consolidated = one(source_dir=parts), other(source_dir=whole)
    assert legacy.good
    assert consolidated.good
    assert consolidated.total("carried") == legacy.total("carried") > 150
    expected, found = everything(one), everything(other)
    assert {name for name, rows in expected.items() if rows} >= {"elo_matches", "debate_results", "tournament_matches"}
    assert found == expected


BY_THE_TOOL = """
    CREATE TABLE consensus (id TEXT PRIMARY KEY, topic TEXT NOT NULL, conclusion TEXT, confidence REAL, strength TEXT,
        topic_hash TEXT, domain TEXT, tags TEXT, timestamp TEXT, data TEXT, supporting_agents TEXT,
        opposing_agents TEXT, evidence TEXT, debate_ids TEXT, stability_score REAL, last_challenged_at TEXT,
        created_at TEXT, updated_at TEXT);
    INSERT INTO consensus (id, topic, conclusion, strength, topic_hash, data, supporting_agents, stability_score) VALUES
        ('c1', 'caches', 'yes', 'strong', 'h', '{}', '["kimi"]', 0.75),
        ('c2', 'queues', 'no', 'weak', 'h', '{}', NULL, NULL),
        ('c3', 'nothing else', NULL, NULL, NULL, NULL, NULL, NULL);
    CREATE TABLE dissent (id TEXT PRIMARY KEY, debate_id TEXT REFERENCES consensus ON DELETE CASCADE, agent_id TEXT,
        dissent_type TEXT, content TEXT, confidence REAL, timestamp TEXT, data TEXT, reasoning TEXT, strength REAL,
        resolved INTEGER, resolved_at TEXT, created_at TEXT);
    INSERT INTO dissent (id, debate_id, agent_id, dissent_type, content, data, reasoning) VALUES
        ('d1', 'c1', 'grok', 'risk_warning', 'too slow', '{}', 'measured it');
    CREATE TABLE agent_evolution_history (id INTEGER PRIMARY KEY AUTOINCREMENT, agent_name TEXT NOT NULL,
        mutation_type TEXT NOT NULL, before_state TEXT NOT NULL, after_state TEXT NOT NULL, reason TEXT, created_at);
    INSERT INTO agent_evolution_history VALUES (4, 'kimi', 'mutation', '{}', '{}', NULL, '2026-01-15 12:00:00');
    CREATE TABLE debate_summaries (id TEXT PRIMARY KEY, debate_id TEXT, topic TEXT, summary TEXT, key_arguments TEXT);
    INSERT INTO debate_summaries VALUES ('s', 'd', 'caches', 'long', '[]');
    CREATE TABLE predictions (id INTEGER PRIMARY KEY, agent TEXT, domain TEXT, predicted REAL NOT NULL,
        actual REAL NOT NULL, bucket INTEGER, timestamp TEXT NOT NULL);
    INSERT INTO predictions VALUES (1, 'kimi', 'ux', 0.5, 1.0, 5, '2026-01-15 12:00:00');
    CREATE TABLE genesis_events (event_id TEXT PRIMARY KEY, data TEXT, event_type TEXT, timestamp TEXT,
        content_hash TEXT, parent_event_id TEXT);
    INSERT INTO genesis_events VALUES ('e', '{}', 'debate_start', '2026-01-15T12:00:00', 'ab', NULL);
"""


def test_consolidated_by_the_tool(importer, sources):
    """Aragora's own tool made other columns, and NULL where there was a value: what can go goes, the rest is kept."""
    sources.write("core.db", BY_THE_TOOL)
    report = importer()
    figures = {
        each.table: (each.target, each.carried, each.rejected, each.parked, each.noted) for each in report.tables
    }
    assert figures == {
        "agent_evolution_history": ("evolution_history", 1, 0, 0, 0),
        "consensus": ("consensus", 2, 1, 0, 1),
        "debate_summaries": ("legacy_rows", 0, 0, 1, 0),
        "dissent": ("dissent", 1, 0, 0, 1),
        "genesis_events": ("genesis_events", 1, 0, 0, 0),
        "predictions": ("legacy_rows", 0, 0, 1, 0),
    }
    assert not report.good  # for the row that is nothing but a topic
    assert importer.rows("consensus", "id", "conclusion") == [("c1", "yes"), ("c2", "no")]
    assert importer.rows("dissent", "id", "debate_id") == [("d1", "c1")]
    assert importer.rows("evolution_history", "id", "created_at") == [(4, NOON)]
    kept = dict(importer.rows("legacy_rows", "table_name", "row"))
    assert kept["consensus"]["supporting_agents"] == '["kimi"]'
    assert kept["consensus"]["stability_score"] == 0.75
    assert kept["dissent"]["reasoning"] == "measured it"
    assert kept["debate_summaries"]["summary"] == "long"
    assert kept["predictions"]["predicted"] == 0.5
