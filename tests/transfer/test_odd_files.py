"""SQLite files that Aragora would not write, and that SQLite allows: what an operator's own tools leave behind."""

from __future__ import annotations

import pytest

from aragora_db.transfer.target.parking import from_json

PERSONAS = """
    CREATE TABLE personas (agent_name TEXT PRIMARY KEY, description TEXT, traits TEXT, expertise TEXT,
        created_at TEXT, updated_at TEXT) {};
    INSERT INTO personas VALUES
        ('zoë', 'naïve café 🙂', '["a"]', '{{"x": 1.5}}', '2026-01-15 09:30:00', '2026-01-15 09:30:00'),
        ('kimi', NULL, NULL, NULL, '2026-01-15T09:30:00.123456', '2026-01-15 09:30:00');
"""
PLAIN = [
    ("kimi", None, None, None),
    ("zoë", "naïve café 🙂", ["a"], {"x": 1.5}),
]
ODD_NAMES = [
    'a "quoted" one',
    "it's {0} and {name}",
    "100%s",
    "%(name)s",
    "a\nline",
    "semi;colon -- no",
    "select",
    "漢字",
]


def parked(importer, table: str) -> list[dict[str, object]]:
    """What is carried whole, as the file had it."""
    rows = importer.rows("legacy_rows", "table_name", "row")
    return [{name: from_json(value) for name, value in row.items()} for name_, row in rows if name_ == table]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(PERSONAS.format("WITHOUT ROWID"), id="without rowid"),
        pytest.param("PRAGMA encoding = 'UTF-16le';" + PERSONAS.format(""), id="UTF-16le"),
        pytest.param("PRAGMA encoding = 'UTF-16be';" + PERSONAS.format(""), id="UTF-16be"),
        pytest.param("PRAGMA page_size = 65536;" + PERSONAS.format(""), id="64 KiB pages"),
        pytest.param("PRAGMA auto_vacuum = FULL;" + PERSONAS.format(""), id="auto vacuum"),
    ],
)
def test_ways_to_store(importer, sources, script):
    """The same rows, whatever SQLite does with them on the disk."""
    sources.write("personas.db", script)
    assert importer().good
    assert importer.rows("personas", "agent_name", "description", "traits", "expertise") == PLAIN
    assert importer(verify_only=True).good


def test_orphans_without_rowid(importer, sources):
    """Rows that have no number are parked by their key all the same."""
    sources.write(
        "continuum.db",
        "CREATE TABLE tier_transitions (id INTEGER PRIMARY KEY, memory_id TEXT, from_tier TEXT, to_tier TEXT,"
        " reason TEXT, surprise_score REAL, created_at TEXT) WITHOUT ROWID;",
        rows={
            "tier_transitions": [
                (7, "gone", "slow", "fast", None, 0.5, "2026-01-15"),
                (9, "too", "slow", "fast", None, 0.5, "2026-01-15"),
            ]
        },
    )
    found = importer.one("tier_transitions")
    assert (found.rows, found.parked) == (2, 2)
    assert importer.rows("legacy_rows", "row_key") == [("7",), ("9",)]
    assert [row["memory_id"] for row in parked(importer, "tier_transitions")] == ["gone", "too"]


@pytest.mark.parametrize("names", [("rowid",), ("rowid", "oid"), ("rowid", "oid", "_rowid_")])
def test_columns_called_rowid(importer, sources, names):
    """Then rowid is not the row's number, and a reader that goes on after it loses rows or reads them for ever."""
    columns = ", ".join(f"{name} TEXT" for name in names)
    count = 2_100  # more than a chunk
    sources.write(
        "agent_elo.db",
        f"CREATE TABLE elo_history (id INTEGER PRIMARY KEY, agent_name TEXT, elo REAL, created_at TEXT, {columns});"
        f" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        " INSERT INTO elo_history SELECT i, 'kimi', i, '2026-01-15 09:30:00'"
        + ", iif(i = 5, 'five', NULL)" * len(names)
        + " FROM n;",
    )
    found = importer.one("elo_history")
    assert (found.rows, found.carried, found.noted) == (count, count, 1)
    assert sorted(importer.rows("elo_history", "id", "elo")) == [(i, float(i)) for i in range(1, count + 1)]
    assert parked(importer, "elo_history") == [
        {"id": 5, "agent_name": "kimi", "elo": 5.0, "created_at": "2026-01-15 09:30:00", **dict.fromkeys(names, "five")}
    ]


def test_odd_names(importer, sources):
    """Names go into SQL, and into texts with placeholders; none of them may break, or be taken for, the statement."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in ODD_NAMES]
    columns = ", ".join(quoted)
    values = ", ".join(f"{place}" for place in range(len(quoted)))
    for place, name in enumerate(quoted):
        sources.write(f"{place}.db", f"CREATE TABLE {name} ({columns}); INSERT INTO {name} VALUES ({values});")
    sources.write(
        "known.db",
        f"CREATE TABLE personas (agent_name TEXT PRIMARY KEY, {columns}, description TEXT, updated_at TEXT);"
        f"INSERT INTO personas VALUES ('kimi', {values}, 'text', '2026-01-15'), "
        f"('zoë', {', '.join(['NULL'] * len(quoted))}, 'other', '2026-01-15');",
    )
    report = importer()
    assert report.good
    expected = {name: place for place, name in enumerate(ODD_NAMES)}
    for name in ODD_NAMES:
        assert parked(importer, name) == [expected]
    assert importer.rows("personas", "agent_name", "description") == [("kimi", "text"), ("zoë", "other")]
    assert parked(importer, "personas") == [
        {"agent_name": "kimi", **expected, "description": "text", "updated_at": "2026-01-15"}
    ]
    assert importer(verify_only=True).good


def test_what_is_no_table(importer, sources):
    """Views, generated columns, virtual tables and triggers: read as what they show, none of them run or written."""
    sources.write(
        "personas.db",
        PERSONAS.format(""),
        "ALTER TABLE personas ADD COLUMN shout TEXT AS (upper(agent_name)) VIRTUAL;"
        "CREATE VIEW everybody AS SELECT * FROM personas;"
        "CREATE VIRTUAL TABLE memory_fts USING fts5(memory_id, content);"
        "INSERT INTO memory_fts VALUES ('m', 'quorum');"
        "CREATE TABLE empty (a);",
    )
    report = importer()
    assert report.good
    assert [(each.table, each.target, each.rows) for each in report.tables] == [
        *(("personas", "personas", 2), ("empty", "legacy_rows", 0))
    ]
    assert importer.rows("personas", "agent_name") == [("kimi",), ("zoë",)]
