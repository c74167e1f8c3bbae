"""Rows of one table from two files. What is lost here is nowhere any more; what is doubled counts twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aragora_db.models import EloHistory, PatternCluster
from aragora_db.transfer.target.parking import from_json

pytestmark = pytest.mark.slow

CONFLICT = "conflict: another row has its key, and nothing says which of them is right"
MORNING, NOON, EVENING = "2026-01-15 09:00:00", "2026-01-15 12:00:00", "2026-01-15 18:00:00"

CONTINUUM = "CREATE TABLE continuum_memory (id TEXT PRIMARY KEY, tier TEXT, content TEXT, created_at, updated_at TEXT);"
RATINGS = "CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL, domain_elos TEXT, updated_at TEXT);"
HISTORY = "CREATE TABLE elo_history (id INTEGER PRIMARY KEY AUTOINCREMENT, agent_name, elo, debate_id, created_at);"
MATCHES = (
    "CREATE TABLE matches (id INTEGER PRIMARY KEY AUTOINCREMENT, debate_id TEXT UNIQUE, winner, participants, scores,"
    " elo_changes, created_at TEXT);"
)
DEBATES = "CREATE TABLE debates (id TEXT PRIMARY KEY, slug TEXT UNIQUE, task, agents, artifact_json, created_at);"
CLUSTERS = (
    "CREATE TABLE pattern_clusters (id INTEGER PRIMARY KEY AUTOINCREMENT, category, pattern_text, occurrence_count,"
    " last_seen TEXT, UNIQUE (category, pattern_text));"
)


def counts(report, table: str) -> list[tuple[str, int, int, int]]:
    """What became of a table's rows, file by file: carried, merged, parked."""
    found = [each for each in report.tables if each.table == table]
    assert all(each.proven for each in found)
    return [(each.source_file, each.carried, each.merged, each.parked) for each in found]


def parked(importer) -> list[tuple[str, str, str, dict[str, object]]]:
    """What waits in `legacy_rows`, as the file had it."""
    rows = importer.rows("legacy_rows", "source_file", "row_key", "reason", "row")
    return [(*rest, {name: from_json(value) for name, value in row.items()}) for *rest, row in rows]


def match(number: int, debate: str | None, winner: str, loser: str) -> tuple[object, ...]:
    """A match of two agents."""
    return (
        number, debate, winner, f'["{winner}", "{loser}"]', f'{{"{winner}": 1.0, "{loser}": 0.0}}',
        f'{{"{winner}": 16.0, "{loser}": -16.0}}', NOON,
    )  # fmt: skip


def test_the_same_rows(importer, sources):
    """A backup beside the original: each row once, and the report says that it was there twice."""
    sources.write("a.db", sources.script("agent_elo"))
    sources.write("b.db", sources.script("agent_elo"), "PRAGMA user_version = 1")  # no copy to the byte
    report = importer()
    assert report.good
    for table, rows in (("ratings", 3), ("matches", 2), ("elo_history", 60), ("calibration_buckets", 2)):
        assert counts(report, table) == [("a.db", rows, 0, 0), ("b.db", 0, rows, 0)]
    assert importer.count("elo_match_participants") == 5
    assert importer(verify_only=True).good


@pytest.mark.parametrize("newer_comes", ["first", "last"])
def test_the_newer_one_wins(importer, sources, newer_comes):
    """Where the data says when a row changed, the order of the files must not decide."""
    new, old = {"first": ("a.db", "b.db"), "last": ("b.db", "a.db")}[newer_comes]
    sources.write(
        new, CONTINUUM, RATINGS, rows={
            "continuum_memory": [("m", "slow", "new", MORNING, "2026-01-15T19:00:00+01:00")],
            "ratings": [("kimi", 1700.0, '{"ux": 1.0, "ops": 2.0}', EVENING)],
        },
    )  # fmt: skip
    sources.write(
        old, CONTINUUM, RATINGS, rows={
            "continuum_memory": [("m", "fast", "old", MORNING, NOON)],
            "ratings": [("kimi", 1600.0, '{"ux": 9.0, "db": 9.0}', NOON)],
        },
    )  # fmt: skip
    report = importer()
    assert report.good
    second = {"first": (0, 1, 0), "last": (1, 0, 0)}[newer_comes]
    assert counts(report, "continuum_memory") == [("a.db", 1, 0, 0), ("b.db", *second)]
    assert counts(report, "ratings") == [("a.db", 1, 0, 0), ("b.db", *second)]
    assert importer.rows("continuum_memory", "tier", "content") == [("slow", "new")]
    assert importer.rows("elo_ratings", "elo") == [(1700.0,)]
    assert importer.rows("elo_domain_ratings", "domain", "elo") == [("ops", 2.0), ("ux", 1.0)]
    assert importer(verify_only=True).good


def test_nothing_says_which_is_newer(importer, sources):
    """Then nobody may choose: the first stays, the second is kept whole, and the report says why."""
    sources.write("a.db", DEBATES, rows={"debates": [("d", "one", "first", "[]", "{}", NOON)]})
    sources.write("b.db", DEBATES, rows={"debates": [("d", "two", "second", "[]", "{}", NOON)]})
    report = importer()
    assert report.good
    assert counts(report, "debates") == [("a.db", 1, 0, 0), ("b.db", 0, 0, 1)]
    assert dict(report.tables[1].reasons) == {CONFLICT: 1}
    assert importer.rows("debates", "id", "slug", "task") == [("d", "one", "first")]
    ((source, key, reason, row),) = parked(importer)
    assert (source, key, reason) == ("b.db", "d", CONFLICT)
    assert row == dict(zip(["id", "slug", "task", "agents", "artifact_json", "created_at"],
                           ["d", "two", "second", "[]", "{}", NOON], strict=True))  # fmt: skip
    assert importer(verify_only=True).good


def test_the_same_instant(importer, sources):
    """A clock that stands still says nothing either."""
    for name, elo in (("a.db", 1600.0), ("b.db", 1700.0)):
        sources.write(name, RATINGS, rows={"ratings": [("kimi", elo, None, NOON)]})
    assert counts(importer(), "ratings") == [("a.db", 1, 0, 0), ("b.db", 0, 0, 1)]
    assert importer.rows("elo_ratings", "elo") == [(1600.0,)]
    assert parked(importer)[0][3]["elo"] == 1700.0


def test_other_domains(importer, sources):
    """The row is equal and what hangs on it is not: to call it the same would lose a domain's rating."""
    sources.write("a.db", RATINGS, rows={"ratings": [("kimi", 1600.0, '{"ux": 1.0}', NOON)]})
    sources.write("b.db", RATINGS, rows={"ratings": [("kimi", 1600.0, '{"ux": 1.0, "db": 2.0}', NOON)]})
    assert counts(importer(), "ratings") == [("a.db", 1, 0, 0), ("b.db", 0, 0, 1)]
    assert parked(importer)[0][3]["domain_elos"] == '{"ux": 1.0, "db": 2.0}'


def test_numbers_are_given_again(importer, sources):
    """Every file counts from 1. Another row of that number is no conflict: both are somebody's history."""
    sources.write("a.db", HISTORY, rows={"elo_history": [(n, "kimi", 1500.0 + n, None, NOON) for n in (1, 2, 3)]})
    sources.write("b.db", HISTORY, rows={"elo_history": [(n, "grok", 1500.0 + n, None, NOON) for n in (2, 3, 9)]})
    report = importer()
    assert report.good
    assert counts(report, "elo_history") == [("a.db", 3, 0, 0), ("b.db", 3, 0, 0)]
    assert importer.rows("elo_history", "id", "agent_name", "elo") == [
        *((1, "kimi", 1501.0), (10, "grok", 1502.0), (11, "grok", 1503.0)),
        *((2, "kimi", 1502.0), (3, "kimi", 1503.0), (9, "grok", 1509.0)),
    ]
    assert importer(verify_only=True).good


def test_the_same_content_under_other_numbers(importer, sources):
    """A file that was merged once before has other numbers for the same rows, which must not count twice."""
    rows = [("kimi", 1516.0, "debate-1", NOON), ("kimi", 1532.0, "debate-2", NOON), ("grok", 1484.0, None, NOON)]
    sources.write("a.db", HISTORY, rows={"elo_history": [(n, *row) for n, row in enumerate(rows, 1)]})
    sources.write("b.db", HISTORY, rows={"elo_history": [(n, *row) for n, row in enumerate(reversed(rows), 40)]})
    assert counts(importer(), "elo_history") == [("a.db", 3, 0, 0), ("b.db", 0, 3, 0)]
    assert importer.count("elo_history") == 3
    assert importer(verify_only=True).good


@pytest.mark.parametrize("order", [("a.db", "b.db"), ("b.db", "a.db")])
def test_twice_means_twice(importer, sources, order):
    """Two rows that are equal but for their number are two events of one second; a backup from in between had one."""
    twice, once = order
    row = ("kimi", 1500.0, "debate-1", NOON)
    sources.write(twice, HISTORY, rows={"elo_history": [(1, *row), (2, *row), (3, "grok", 1.0, None, NOON)]})
    sources.write(once, HISTORY, rows={"elo_history": [(1, *row), (3, "grok", 1.0, None, NOON)]})
    report = importer()
    assert report.good
    assert importer.rows("elo_history", "agent_name") == [("grok",), ("kimi",), ("kimi",)]
    assert (report.total("carried"), report.total("merged")) == (3, 2)


def test_matches(importer, sources):
    """A match that gets another number takes its participants along; one debate is one match."""
    sources.write("a.db", MATCHES, rows={"matches": [match(1, "debate-1", "kimi", "grok"), match(2, None, "a", "b")]})
    sources.write(
        "b.db", MATCHES, rows={
            "matches": [
                match(1, "debate-9", "qwen", "yi"),  # another debate of that number
                match(2, "debate-1", "kimi", "grok"),  # the same debate under another number
                match(3, None, "a", "b"),  # the same again, without a debate to tell by
                match(4, "debate-4", "zoë", "yi"),
            ]
        },
    )  # fmt: skip
    sources.write("c.db", MATCHES, rows={"matches": [match(7, "debate-1", "grok", "kimi")]})  # who won after all?
    report = importer()
    assert report.good
    assert counts(report, "matches") == [("a.db", 2, 0, 0), ("b.db", 2, 2, 0), ("c.db", 0, 0, 1)]
    assert importer.rows("elo_matches", "id", "debate_id", "winner") == [
        *((1, "debate-1", "kimi"), (2, None, "a"), (4, "debate-4", "zoë"), (5, "debate-9", "qwen"))
    ]
    assert importer.rows("elo_match_participants", "match_id", "agent_name", "score") == [
        *((1, "grok", 0.0), (1, "kimi", 1.0), (2, "a", 1.0), (2, "b", 0.0)),
        *((4, "yi", 0.0), (4, "zoë", 1.0), (5, "qwen", 1.0), (5, "yi", 0.0)),
    ]
    assert [row[:3] for row in parked(importer)] == [("c.db", "7", CONFLICT)]
    assert importer(verify_only=True).good


def test_the_same_match_with_others(importer, sources):
    """Equal but for who took part: two different matches, whatever the columns of the match say."""
    third = (1, "debate-1", "kimi", '["kimi", "yi"]', '{"kimi": 1.0, "yi": 0.0}', '{"kimi": 16.0, "yi": -16.0}', NOON)
    sources.write("a.db", MATCHES, rows={"matches": [match(1, "debate-1", "kimi", "grok")]})
    sources.write("b.db", MATCHES, rows={"matches": [third]})
    assert counts(importer(), "matches") == [("a.db", 1, 0, 0), ("b.db", 0, 0, 1)]
    assert parked(importer)[0][3]["participants"] == '["kimi", "yi"]'


def test_a_slug_that_is_taken(importer, sources):
    """A unique column beside the key: without a look at it the whole table would fail for one row."""
    sources.write("a.db", DEBATES, rows={"debates": [("d1", "slug", "first", "[]", "{}", NOON)]})
    sources.write(
        "b.db", DEBATES, rows={
            "debates": [("d2", "slug", "second", "[]", "{}", NOON), ("d3", "other", "third", "[]", "{}", NOON)]
        },
    )  # fmt: skip
    assert counts(importer(), "debates") == [("a.db", 1, 0, 0), ("b.db", 1, 0, 1)]
    assert importer.rows("debates", "id", "slug") == [("d1", "slug"), ("d3", "other")]
    assert parked(importer)[0][3]["task"] == "second"


def test_one_key_twice_in_a_file(importer, sources):
    """SQLite lets a key be NULL or missing, and an old file may have lost its unique index."""
    loose = DEBATES.replace(" UNIQUE", "").replace(" PRIMARY KEY", "")
    row = ("d", "slug", "first", "[]", "{}", NOON)
    sources.write("a.db", loose, rows={"debates": [row, ("d", "x", *row[2:]), ("e", "slug", *row[2:])]})
    assert counts(importer(), "debates") == [("a.db", 1, 0, 2)]
    assert importer.rows("debates", "id", "slug") == [("d", "slug")]
    assert [row["slug"] for *_, row in parked(importer)] == ["x", "slug"]


@pytest.mark.parametrize("newer_comes", ["first", "last"])
def test_patterns_by_when_they_were_seen(importer, sources, newer_comes):
    """A pattern is known by its text; the file that saw it last counted it last, whatever number it gave it."""
    new, old = {"first": ("a.db", "b.db"), "last": ("b.db", "a.db")}[newer_comes]
    sources.write(new, CLUSTERS, rows={"pattern_clusters": [(3, "ux", "slow", 7, EVENING), (1, "db", "lock", 1, NOON)]})
    sources.write(old, CLUSTERS, rows={"pattern_clusters": [(1, "ux", "slow", 5, MORNING)]})
    report = importer()
    assert report.good
    rows = importer.rows("pattern_clusters", "category", "occurrence_count", "last_seen")
    assert rows == [
        ("db", 1, datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("ux", 7, datetime(2026, 1, 15, 18, tzinfo=UTC)),
    ]
    figures = {"first": [("a.db", 2, 0, 0), ("b.db", 0, 1, 0)], "last": [("a.db", 1, 0, 0), ("b.db", 2, 0, 0)]}
    assert counts(report, "pattern_clusters") == figures[newer_comes]
    assert importer(verify_only=True).good


def test_numbers_that_were_given_out(importer, sources):
    """A number may be in somebody's notes though its row is gone: the next row must get a new one."""
    sources.write(
        "a.db", HISTORY, CLUSTERS,
        "INSERT INTO elo_history VALUES (7, 'kimi', 1500, NULL, '2026-01-15'), (900, 'grok', 1500, NULL, '2026-01-15');"
        "DELETE FROM elo_history WHERE id = 900;",
        rows={"pattern_clusters": [(55, "ux", "slow", 1, NOON)]},
    )  # fmt: skip
    sources.write("b.db", HISTORY, rows={"elo_history": [(12, "yi", 1500.0, None, NOON)]})
    assert importer().good
    with importer.database.session() as session:
        history, cluster = EloHistory(agent_name="new", elo=1.0), PatternCluster(category="c", pattern_text="p")
        session.add_all([history, cluster])
        session.flush()
        assert (history.id, cluster.id) == (901, 56)
