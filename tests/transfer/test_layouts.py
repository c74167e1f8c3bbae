"""What a table is, by its columns. One name has several meanings, and one meaning several ages of columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aragora_db.transfer.source.shapes import shape_of
from aragora_db.transfer.source.snapshot import SourceTable
from aragora_db.transfer.target.parking import from_json

NOON = "2026-01-15 12:00:00"
AT_NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)

RESOLVED = "elo_calibration_predictions"
MEANINGS = [
    ("debates", "id slug task agents artifact_json", "debates"),
    ("debates", "id task final_answer rounds_used", "debate_results"),
    ("matches", "id debate_id winner participants scores", "elo_matches"),
    ("matches", "debate_id participants scores", None),
    ("matches", "match_id tournament_id round_num agent1 agent2", "tournament_matches"),
    ("predictions", "id agent confidence correct", "agent_predictions"),
    ("predictions", "id agent domain predicted actual bucket timestamp", None),
    ("calibration_predictions", "id tournament_id predictor_agent predicted_winner confidence created_at", RESOLVED),
    ("calibration_predictions", "id tournament_id predictor_agent predicted_winner confidence", None),
    ("calibration_predictions", "id agent confidence correct domain debate_id position_id", "agent_predictions"),
    ("memories", "id agent_name memory_type content importance", "agent_memories"),
    ("memories", "id tier content importance", "continuum_memory"),
    ("evolution_history", "id agent_name mutation_type before_state after_state", "evolution_history"),
    ("evolution_history", "id agent_name from_version to_version strategy", "prompt_evolution_history"),
    ("evolution_history", "id prompt_name version mutation", None),
    ("agent_evolution_history", "id agent_name mutation_type before_state after_state", "evolution_history"),
    ("reflection_schedule", "agent_name last_reflection memories_since_reflection", "reflection_schedule"),
    ("reflection_schedule", "id agent_name next_due", None),
    ("agent_performance_history", "id agent_name debate_id contribution_score", "agent_performance_history"),
    ("agent_performance_history", "id agent_name metric_name metric_value period", None),
    ("debate_summaries", "debate_id task total_insights", "debate_summaries"),
    ("debate_summaries", "debate_id topic summary key_arguments", None),
    ("pattern_clusters", "id category pattern_text", "pattern_clusters"),
    ("pattern_clusters", "id cluster_name centroid", None),
    ("embeddings", "id text_hash text embedding", "debate_embeddings"),
    ("users", "id email", None),
    ("elo_ratings", "agent_name elo", "elo_ratings"),
    ("elo_head_to_head", "agent_a agent_b matches", None),
]
"""Aragora's names, columns that a table of that name may have, and what it is then."""


@pytest.mark.parametrize(("name", "columns", "target"), MEANINGS)
def test_meaning(name, columns, target):
    """A table taken for another one of its name puts its rows among strangers, and no one finds them there."""
    shape = shape_of(SourceTable(name, tuple(columns.split())))
    assert (None if shape is None else shape.target) == target
    backwards = shape_of(SourceTable(name, tuple(reversed(columns.split()))))
    assert (None if backwards is None else backwards.target) == target


SAME_NAMES = {
    "one.db": """
        CREATE TABLE debates (id TEXT PRIMARY KEY, slug TEXT, task TEXT, agents TEXT, artifact_json TEXT);
        INSERT INTO debates VALUES ('d', 's', 'published', '[]', '{}');
        CREATE TABLE matches (id INTEGER PRIMARY KEY, debate_id TEXT, participants TEXT, created_at TEXT);
        INSERT INTO matches VALUES (1, 'd', '["a", "b"]', '2026-01-15 12:00:00');
        CREATE TABLE memories (id TEXT PRIMARY KEY, agent_name TEXT, memory_type TEXT, content TEXT);
        INSERT INTO memories VALUES ('m', 'kimi', 'insight', 'of a stream');
        CREATE TABLE evolution_history (id INTEGER PRIMARY KEY, agent_name TEXT, mutation_type TEXT,
            before_state TEXT, after_state TEXT);
        INSERT INTO evolution_history VALUES (1, 'kimi', 'mutation', '{}', '{}');
        CREATE TABLE calibration_predictions (id INTEGER PRIMARY KEY, tournament_id TEXT, predictor_agent TEXT,
            predicted_winner TEXT, confidence REAL, created_at TEXT);
        INSERT INTO calibration_predictions VALUES (1, 't', 'kimi', 'grok', 0.5, '2026-01-15 12:00:00');
    """,
    "two.db": """
        CREATE TABLE debates (id TEXT PRIMARY KEY, task TEXT, final_answer TEXT);
        INSERT INTO debates VALUES ('d', 'a result', 'yes');
        CREATE TABLE matches (match_id TEXT PRIMARY KEY, tournament_id TEXT, round_num INTEGER, agent1, agent2);
        INSERT INTO matches VALUES ('m', 't', 1, 'kimi', 'grok');
        CREATE TABLE tournaments (tournament_id TEXT PRIMARY KEY, name TEXT);
        INSERT INTO tournaments VALUES ('t', 'Cup');
        CREATE TABLE memories (id TEXT PRIMARY KEY, tier TEXT, content TEXT);
        INSERT INTO memories VALUES ('m', 'slow', 'of the continuum');
        CREATE TABLE evolution_history (id INTEGER PRIMARY KEY, agent_name TEXT, from_version INTEGER, to_version);
        INSERT INTO evolution_history VALUES (1, 'kimi', 1, 2);
        CREATE TABLE calibration_predictions (id INTEGER PRIMARY KEY, agent TEXT, confidence REAL, correct INTEGER);
        INSERT INTO calibration_predictions VALUES (1, 'kimi', 0.5, 1);
    """,
}


def test_same_names_in_two_files(importer, sources):
    """Both meanings in one import: each row is where its own kind is looked for, and none pushed another out."""
    for file, script in SAME_NAMES.items():
        sources.write(file, script)
    report = importer()
    assert report.good
    assert report.total("carried") == 11
    assert importer.rows("debates", "id", "task") == [("d", "published")]
    assert importer.rows("debate_results", "id", "final_answer") == [("d", "yes")]
    assert importer.rows("elo_matches", "id", "debate_id") == [(1, "d")]
    assert importer.rows("tournament_matches", "match_id", "agent2") == [("m", "grok")]
    assert importer.rows("agent_memories", "id", "content") == [("m", "of a stream")]
    assert importer.rows("continuum_memory", "id", "content") == [("m", "of the continuum")]
    assert importer.rows("evolution_history", "mutation_type") == [("mutation",)]
    assert importer.rows("prompt_evolution_history", "from_version", "to_version") == [(1, 2)]
    assert importer.rows("elo_calibration_predictions", "predicted_winner") == [("grok",)]
    assert importer.rows("agent_predictions", "agent", "correct") == [("kimi", True)]


def test_old_columns(importer, sources):
    """Files from before `red_line` and before calibration: what they do not say has the value that means nothing."""
    sources.write(
        "old.db",
        "CREATE TABLE continuum_memory (id TEXT PRIMARY KEY, tier TEXT NOT NULL, content TEXT NOT NULL,"
        " importance REAL, created_at TEXT, updated_at TEXT);"
        f"INSERT INTO continuum_memory VALUES ('m', 'fast', 'old', 0.25, '{NOON}', '{NOON}');"
        "CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL, domain_elos TEXT, wins INTEGER, updated_at TEXT);"
        f"INSERT INTO ratings VALUES ('kimi', 1600, '{{\"ux\": 1510.5}}', 3, '{NOON}');"
        "CREATE TABLE consensus (id TEXT PRIMARY KEY, topic TEXT, topic_hash TEXT, conclusion TEXT, strength TEXT,"
        " data TEXT);"
        "INSERT INTO consensus VALUES ('c', 't', 'h', 'yes', 'weak', '{}');",
    )
    assert importer().good
    columns = ("id", "importance", "surprise_score", "update_count", "metadata", "red_line", "red_line_reason")
    assert importer.rows("continuum_memory", *columns) == [("m", 0.25, 0.0, 0, {}, False, "")]
    columns = ("agent_name", "elo", "wins", "calibration_correct", "calibration_total", "calibration_brier_sum")
    assert importer.rows("elo_ratings", *columns) == [("kimi", 1600.0, 3, 0, 0, 0.0)]
    assert importer.rows("elo_domain_ratings", "agent_name", "domain", "elo") == [("kimi", "ux", 1510.5)]
    assert importer.rows("consensus", "id", "confidence", "tags", "timestamp") == [("c", None, None, None)]
    assert importer(verify_only=True).good


def test_columns_in_another_order(importer, sources):
    """`ALTER TABLE` puts new columns last: read by place, wins and calibration would change seats."""
    sources.write(
        "one.db",
        "CREATE TABLE ratings (updated_at TEXT, calibration_brier_sum REAL, calibration_total INTEGER, losses INTEGER,"
        " wins INTEGER, elo REAL, agent_name TEXT PRIMARY KEY, draws INTEGER, domain_elos TEXT)",
        rows={"ratings": [(NOON, 1.25, 6, 5, 4, 1333.5, "kimi", 3, '{"ux": 7}')]},
    )
    assert importer().good
    columns = ("agent_name", "elo", "wins", "losses", "draws", "calibration_total", "calibration_brier_sum")
    assert importer.rows("elo_ratings", *columns, "updated_at") == [("kimi", 1333.5, 4, 5, 3, 6, 1.25, AT_NOON)]
    assert importer.rows("elo_domain_ratings", "domain", "elo") == [("ux", 7.0)]


def test_extra_columns(importer, sources):
    """A column that we do not know is somebody's data: the row goes where it belongs, and whole into `legacy_rows`."""
    sources.write(
        "agent_elo.db",
        "CREATE TABLE elo_history (id INTEGER PRIMARY KEY, agent_name TEXT, elo REAL, mood, created_at TEXT, seed)",
        rows={
            "elo_history": [
                (1, "kimi", 1500.5, "cheerful", NOON, b"\x00\xff"),
                (2, "grok", 1501.5, None, NOON, None),
                (3, "qwen", 1502.5, None, NOON, float("inf")),
            ]
        },
    )
    found = importer.one("elo_history")
    assert (found.carried, found.parked, found.noted) == (3, 0, 2)
    assert importer.rows("elo_history", "id", "elo") == [(1, 1500.5), (2, 1501.5), (3, 1502.5)]
    kept = importer.rows("legacy_rows", "source_file", "table_name", "row_key", "reason", "row")
    assert [row[:4] for row in kept] == [
        ("agent_elo.db", "elo_history", "1", "columns without a place: mood, seed"),
        ("agent_elo.db", "elo_history", "3", "columns without a place: seed"),
    ]
    assert {name: from_json(value) for name, value in kept[0][4].items()} == {
        "id": 1, "agent_name": "kimi", "elo": 1500.5, "mood": "cheerful", "created_at": NOON, "seed": b"\x00\xff"
    }  # fmt: skip
    assert from_json(kept[1][4]["seed"]) == float("inf")


def test_unknown_tables(importer, sources):
    """A table that we do not know goes whole into `legacy_rows`, to the last byte, and the report says so."""
    values = [
        (1, "text", "naïve 🙂", "", "nul \x00 inside", "{}"),
        (2, b"", b"\x00\x01\xff", 2**63 - 1, -(2**63), None),
        (3, 1.5, 5e-324, float("-inf"), 1e308, "null"),
    ]
    sources.write(
        "users.db",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, a, b, c, d, e)",
        rows={"users": values},
    )
    sources.write("users.db", "INSERT INTO users (id, a) VALUES (4, CAST(x'ff41' AS TEXT))")
    report = importer()
    assert report.good
    ((table,),) = [report.tables]
    assert (table.target, table.rows, table.parked) == ("legacy_rows", 4, 4)
    assert dict(table.reasons) == {"a table that has no place in the schema": 4}
    assert "a table that has no place in the schema" in report.markdown()
    rows = importer.rows("legacy_rows", "row_key", "row")
    restored = [tuple(from_json(row[name]) for name in ("id", *"abcde")) for _, row in rows]
    assert restored[:3] == values
    assert (restored[3][1], type(restored[3][1]).__name__) == (b"\xffA", "BrokenText")
