"""Files under links, in other encodings, held open, beside leftovers: where a careless import would lose rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from aragora_db.errors import UsageError
from aragora_db.models import Base
from aragora_db.transfer import export_file
from aragora_db.transfer.target.parking import as_json, from_json

RATINGS = "CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL)"


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("kind", ["", " WITHOUT ROWID"])
def test_every_encoding(importer, sources, encoding, kind):
    """Bytes of one encoding read as another are other names, and a checksum over them proves nothing."""
    names = ["claude", "\u6161\u6162", "qwen-\U0001f642"]
    rows = {"ratings": [(name, 1500.0) for name in names]}
    sources.write("a.db", f"PRAGMA encoding = '{encoding}'; {RATINGS}{kind};", rows=rows)
    assert importer.one("ratings").carried == 3
    assert sorted(name for (name,) in importer.rows("elo_ratings", "agent_name")) == sorted(names)


def test_broken_text_in_a_wide_encoding(importer, sources):
    """One torn text must not take the rows around it along."""
    good = "; ".join(f"INSERT INTO ratings VALUES ('a{number}', 1.0)" for number in range(50))
    torn = "INSERT INTO ratings VALUES (CAST(x'00d8' AS TEXT), 1.0)"
    sources.write("a.db", f"PRAGMA encoding = 'UTF-16le'; {RATINGS}; {good}; {torn};")
    found = importer.one("ratings")
    assert (found.carried, found.rejected) == (50, 1)


def test_a_link_to_a_database_in_wal_mode(importer, sources, tmp_path):
    """SQLite keeps the WAL beside the file, not beside the link: what is only in there would never come."""
    real = tmp_path / "elsewhere" / "x.db"
    real.parent.mkdir()
    with closing(sqlite3.connect(real)) as writer:
        writer.executescript(f"PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; {RATINGS};")
        writer.execute("INSERT INTO ratings VALUES ('one', 1.0)")
        writer.commit()
        (sources.folder / "x.db").symlink_to(real)
        assert importer.one("ratings").carried == 1
        writer.execute("INSERT INTO ratings VALUES ('two', 2.0)")
        writer.commit()
        assert importer.one("ratings").carried == 1
    assert importer(archive=tmp_path / "old").archived == []  # the link alone would be moved
    assert real.exists()


def test_a_link_to_a_folder_is_named(importer, sources, tmp_path):
    """A folder that is skipped without a word is a folder that is lost."""
    (tmp_path / "elsewhere").mkdir()
    (sources.folder / "more").symlink_to(tmp_path / "elsewhere")
    sources.write("a.db", RATINGS, rows={"ratings": [("a", 1.0)]})
    report = importer()
    assert [(file.name, file.reason) for file in report.left] == [("more", "a link to a folder, which is not followed")]


def test_a_database_that_somebody_has_open_stays(importer, sources, tmp_path, held):
    """Moved away under its writer, what that commits next goes where nobody looks."""
    path = sources.write("a.db", f"PRAGMA journal_mode = WAL; {RATINGS};", rows={"ratings": [("one", 1.0)]})
    holder = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM ratings').fetchone();"
        "print('open', flush=True); sys.stdin.read()"
    )
    with held(holder, path):
        report = importer(archive=tmp_path / "old")
        assert report.archived == []
        assert report.notes == ["a.db was not archived: another process has it open"]
    assert importer(archive=tmp_path / "old").archived == ["a.db"]


def test_our_names_with_other_columns(importer, sources):
    """A table is left out for what it holds, not for what it is called."""
    tables = ["debate_keywords", "schema_history", "import_ledger", "_schema_versions"]
    script = "; ".join(f"CREATE TABLE {name} (my_note TEXT)" for name in tables)
    sources.write("a.db", script, rows={name: [("keep me",)] for name in tables})
    report = importer()
    assert sorted((each.table, each.target, each.parked) for each in report.tables) == [
        (name, "legacy_rows", 1) for name in sorted(tables)
    ]


def test_a_virtual_table_has_rows(importer, sources):
    """An index of texts is built again; texts that stand in nothing but such a table would be gone."""
    sources.write("a.db", "CREATE VIRTUAL TABLE docs USING fts5(body)", rows={"docs": [("keep me",)]})
    found = importer.one("docs")
    assert (found.target, found.parked) == ("legacy_rows", 1)


def test_what_has_no_column_is_looked_up_too(importer, sources):
    """`--verify-only` is asked before the file is deleted: the value that only legacy_rows holds must be there."""
    sources.write("a.db", RATINGS.replace("elo REAL", "elo REAL, surplus TEXT"), rows={"ratings": [("a", 1.0, "x")]})
    assert importer().good
    assert importer(verify_only=True).good
    with importer.database.session() as session:
        session.execute(sa.delete(Base.metadata.tables["legacy_rows"]))
    broken = importer(verify_only=True)
    assert [each.failed for each in broken.tables] == [
        "1 rows had columns without a place, and are not in legacy_rows any more"
    ]


def test_a_parked_row_of_a_renamed_file(importer, sources):
    """A folder that was moved since the import is still the one that was imported."""
    path = sources.write("a.db", "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)", rows={"notes": [(1, "x")]})
    assert importer().good
    path.rename(path.with_name("b.db"))
    assert importer(verify_only=True).good


def test_the_zone_of_the_import_counts(importer, sources):
    """On another machine, in another zone, nothing has changed; and a second run must not claim that it reads anew."""
    sources.write(
        "a.db",
        RATINGS.replace("elo REAL", "elo REAL, updated_at TEXT"),
        rows={"ratings": [("a", 1.0, "2026-01-15T09:30:00")]},
    )
    importer(timezone="Europe/Berlin")
    verified = importer.one("ratings", verify_only=True, timezone="Asia/Tokyo")
    assert (verified.carried, dict(verified.reasons)) == (1, {})
    again = importer.one("ratings", timezone="Asia/Tokyo")
    assert dict(again.reasons) == {"read as local times of Europe/Berlin in an earlier run, and not again": 1}


@pytest.mark.parametrize("value", [1e16, -1e300, 1e-7, float("inf"), 1.0, 0.1])
def test_numbers_keep_their_kind(value):
    """Jsonb makes a whole number of 1e16, which a column of REAL would not take back."""
    stored = as_json(value)
    assert isinstance(from_json(stored), float)
    assert from_json(stored) == value


def test_a_table_that_fails_in_a_dry_run(importer, sources):
    """One damaged table, and the figures of all that come after it would be of no use."""
    path = sources.write("a.db", f"PRAGMA page_size = 1024; {RATINGS.replace('elo REAL', 'elo REAL, surplus TEXT')};")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO ratings VALUES ('a', 1.0, ?)", ("x" * 20_000,))
        connection.commit()
    data = bytearray(path.read_bytes())
    place = data.rfind(b"x" * 1000) - 4  # a page of the long text begins with the number of the next one
    data[place : place + 4] = b"\xff\xff\xff\xf0"
    path.write_bytes(data)
    sources.write("b.db", RATINGS, rows={"ratings": [("b", 1.0)]})
    rehearsed = {each.source_file: (each.carried, each.failed is not None) for each in importer(dry_run=True).tables}
    imported = {each.source_file: (each.carried, each.failed is not None) for each in importer().tables}
    assert rehearsed == imported
    assert imported["b.db"] == (1, False)


def test_a_view_that_depends_on_a_key(into, sources, monkeypatch):
    """Somebody's dashboard groups by the primary key: the import takes the slower way, instead of never ending well."""
    monkeypatch.setattr("aragora_db.transfer.table_import.REBUILD_INDEXES_FROM", 5)
    importer = into("postgresql")
    with importer.database.session() as session:
        session.execute(sa.text("CREATE VIEW board AS SELECT id, agent_name, count(*) FROM elo_history GROUP BY id"))
    rows = [(number, "a", 1500.0, None, "2026-01-15 09:30:00") for number in range(1, 21)]
    script = (
        "CREATE TABLE elo_history (id INTEGER PRIMARY KEY, agent_name TEXT, elo REAL, debate_id TEXT, created_at TEXT)"
    )
    sources.write("a.db", script, rows={"elo_history": rows})
    assert importer.one("elo_history").carried == 20
    assert importer.count("elo_history") == 20


def test_an_export_beside_a_stale_wal(importer, tmp_path):
    """SQLite would replay it into the new file, after the proof."""
    path = tmp_path / "copy.db"
    path.with_name("copy.db-wal").write_bytes(b"stale")
    with pytest.raises(UsageError, match=r"copy\.db-wal lies there"):
        export_file(importer.database, path)
    assert not path.exists()


def test_an_export_under_an_odd_name(importer, tmp_path):
    """A percent sign is a part of the name, not of a URL."""
    path = tmp_path / "co%41?py #1.db"
    export_file(importer.database, path)
    assert [each.name for each in tmp_path.glob("*.db*")] == [path.name]


def test_the_demo_is_no_source(importer, sources):
    """What the demo made up must not come into real data because it lies in the same folder."""
    sources.write("demo.db", RATINGS, rows={"ratings": [("made up", 1.0)]})
    sources.write("a.db", RATINGS, rows={"ratings": [("a", 1.0)]})
    importer()
    assert importer.rows("elo_ratings", "agent_name") == [("a",)]
    importer(databases=("demo",))
    assert importer.count("elo_ratings") == 2
