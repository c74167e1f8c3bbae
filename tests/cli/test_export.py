"""``aragora-db export``: one file with everything in it, or the SQL for those who move tables by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from aragora_db import Database, Settings
from aragora_db.models import EloHistory

pytestmark = pytest.mark.slow

DONE, NO, WRONG_USE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture
def url(dialect, fresh_databases):
    """A database of each dialect with two rows."""
    url = fresh_databases.url(dialect)
    with closing(Database(Settings.explicit(database_url=url))) as database, database.session() as session:
        session.add_all([EloHistory(agent_name="a", elo=1500.0), EloHistory(agent_name="b", elo=0.1 + 0.2)])
    return url


def test_to(url, aragora_db, tmp_path):
    """A backup is only one if it says that it was compared."""
    ended = aragora_db("export", "--to", "all.db", DATABASE_URL=url)
    assert (ended.code, ended.err) == (DONE, "")
    assert "all.db: 2 rows of" in ended.out
    assert "the same checksum on both sides" in ended.out
    with closing(sqlite3.connect(tmp_path / "all.db")) as connection:
        rows = connection.execute("SELECT agent_name, elo FROM elo_history ORDER BY id").fetchall()
    assert rows == [("a", 1500.0), ("b", 0.1 + 0.2)]
    assert [path.name for path in tmp_path.glob("all.db*")] == ["all.db"]


def test_the_document(url, aragora_db):
    """Two exports of one database have the same checksums: a script can tell whether anything changed."""
    documents = [aragora_db("export", "--to", name, "--json", DATABASE_URL=url).document for name in ("1.db", "2.db")]
    assert [document["version"] for document in documents] == [1, 1]
    assert [document["file"] for document in documents] == ["1.db", "2.db"]
    assert documents[0]["tables"] == documents[1]["tables"]
    (history,) = [each for each in documents[0]["tables"] if each["table"] == "elo_history"]
    assert (history["rows"], len(history["checksum"])) == (2, 16)


def test_an_existing_file_stays(url, aragora_db, tmp_path):
    """Exit code 2, and last week's backup as it was."""
    (tmp_path / "all.db").write_bytes(b"last week's")
    ended = aragora_db("export", "--to", "all.db", DATABASE_URL=url)
    assert (ended.code, ended.out) == (WRONG_USE, "")
    assert "all.db exists already" in ended.err
    assert (tmp_path / "all.db").read_bytes() == b"last week's"


def test_what_it_wrote_can_be_imported(url, aragora_db, tmp_path):
    """The way back: the file is a source like any other."""
    (tmp_path / "backup").mkdir()
    assert aragora_db("export", "--to", "backup/all.db", DATABASE_URL=url).code == DONE
    target = f"sqlite:///{tmp_path / 'new.db'}"
    ended = aragora_db("import", "--source-dir", "backup", "--target-url", target, "--json")
    assert (ended.code, ended.document["totals"]["carried"]) == (DONE, 2)


def test_no_server(aragora_db, tmp_path):
    """Nothing to read, nothing written, and no password in the error."""
    ended = aragora_db("export", "--to", "all.db", DATABASE_URL="postgresql://nobody:s3cr3t@127.0.0.1:1/none")
    assert (ended.code, ended.out) == (UNREACHABLE, "")
    assert "s3cr3t" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_csv_sql(aragora_db, tmp_path):
    """SQL for the sqlite3 shell, without a database: on the machine where the file is there may be no server at all."""
    ended = aragora_db("export", "--csv-sql", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (ended.code, ended.err) == (DONE, "")
    lines = ended.out.splitlines()
    assert ".mode csv" in lines
    assert ".once elo_ratings.csv" in lines
    assert lines.index(".once consensus.csv") < lines.index(".once dissent.csv")  # parents first
    assert "printf('%!.20g', \"elo\")" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_csv_sql_of_some_tables(aragora_db):
    """Only what was asked for."""
    ended = aragora_db("export", "--csv-sql", "debates", "elo_history")
    assert [line for line in ended.out.splitlines() if line.startswith(".once")] == [
        ".once debates.csv",
        ".once elo_history.csv",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--to FILE.db"),
        (["--to", "all.db", "--csv-sql"], "--to FILE.db"),
        (["--to", "all.db", "debates"], "--csv-sql"),
        (["debates"], "--csv-sql"),
        (["--csv-sql", "--json"], "--csv-sql"),
        (["--csv-sql", "debatse"], "there is no table debatse"),
        (["--json"], "--to FILE.db"),
        (["--from", "all.db"], "No such option"),
    ],
    ids=" ".join,
)
def test_wrong_use(arguments, says, aragora_db, tmp_path):
    """Said at once, with the words that lead to the right use."""
    ended = aragora_db("export", *arguments)
    assert (ended.code, ended.out) == (WRONG_USE, "")
    assert says in ended.err
    assert list(tmp_path.iterdir()) == []
