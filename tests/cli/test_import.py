"""``aragora-db import``: the guide's flags, exit codes for scripts, documents for programs, no password for anybody."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
import sqlalchemy as sa
import support

from aragora_db import Database, Settings
from aragora_db.models import EloHistory, EloRating
from aragora_db.testing.process import free_port

SCRIPT = Path(__file__).parents[2] / "scripts" / "migrate_sqlite_to_postgres.py"
DONE, LEFT, WRONG_USE, UNREACHABLE = 0, 1, 2, 3
PASSWORD = "p@ss:w/o?rd#%&+ '\""  # noqa: S105 -- nobody's
RATINGS = """
    CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL, domain_elos TEXT, updated_at TEXT);
    INSERT INTO ratings VALUES ('a', 1500.5, '{}', '2026-01-31T12:00:00'), ('b', 1400, '{}', '2026-01-31 12:00:00');
"""
HISTORY = """
    CREATE TABLE elo_history (id INTEGER PRIMARY KEY, agent_name TEXT, elo REAL, debate_id TEXT, created_at TEXT);
    INSERT INTO elo_history VALUES (7, 'a', 1500.5, 'd', '2026-01-01 00:00:00');
"""
BAD = "INSERT INTO ratings VALUES ('c', 'many', '{}', NULL);"


def _write(path: Path, *scripts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        for script in scripts:
            connection.executescript(script)
    return path


@pytest.fixture
def nomic(tmp_path):
    """Aragora's folder in the working directory, with two files."""
    _write(tmp_path / ".nomic" / "agent_elo.db", RATINGS)
    _write(tmp_path / ".nomic" / "history.db", HISTORY)
    return tmp_path / ".nomic"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _agents(url: str, model: type = EloRating) -> list[str]:
    with (
        closing(Database(Settings.explicit(database_url=url))) as database,
        database.session(read_only=True) as session,
    ):
        return list(session.scalars(sa.select(model.agent_name).order_by(model.agent_name)))


def test_nothing_said(nomic, aragora_db, tmp_path):
    """The first try in Aragora's own folder: from `.nomic`, into `.nomic/aragora.db`, which is no source of itself."""
    ended = aragora_db("import")
    assert (ended.code, ended.err) == (DONE, "")
    assert f"sqlite:///{Path('.nomic/aragora.db')}" in ended.out
    assert _agents(f"sqlite:///{nomic / 'aragora.db'}") == ["a", "b"]
    again = aragora_db("import", "--json").document
    assert [each["source_file"] for each in again["tables"]] == ["agent_elo.db", "history.db"]
    assert all(each["already"] for each in again["tables"])
    assert "nothing to do" in aragora_db("import").out
    assert len(list(tmp_path.glob("aragora-import-*"))) == 1  # the report of the run that did something


def test_the_environment_says_where(nomic, dialect, fresh_databases, aragora_db, tmp_path):
    """A deployment has both in its environment, and the same variables as the application."""
    url = fresh_databases.url(dialect)
    nomic.rename(tmp_path / "data")
    ended = aragora_db("import", DATABASE_URL=url, ARAGORA_DATA_DIR=str(tmp_path / "data"))
    assert (ended.code, ended.err) == (DONE, "")
    assert _agents(url) == ["a", "b"]
    assert not nomic.exists()


def test_the_flags_win(nomic, dialect, fresh_databases, aragora_db, tmp_path):
    """`--source-dir` and `--target-url` mean what they say, whatever the environment has."""
    url = fresh_databases.url(dialect)
    nomic.rename(tmp_path / "elsewhere")
    variables = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "ARAGORA_DATA_DIR": str(tmp_path / "nothing")}
    ended = aragora_db("import", "--source-dir", str(tmp_path / "elsewhere"), "--target-url", url, **variables)
    assert (ended.code, ended.err) == (DONE, "")
    assert _agents(url) == ["a", "b"]
    assert not (tmp_path / "nothing").exists()


def test_some_files(nomic, aragora_db, tmp_path):
    """`--database`, as often as wanted, with or without what Aragora adds to the names."""
    _write(nomic / "old" / "aragora_more.db", HISTORY.replace("'a'", "'z'"))
    url = f"sqlite:///{tmp_path / 'target.db'}"
    one = aragora_db("import", "--database", "more", "--target-url", url, "--json")
    assert [each["source_file"] for each in one.document["tables"]] == ["old/aragora_more.db"]
    two = aragora_db("import", "--database", "agent_elo", "--database", "history.db", "--target-url", url, "--json")
    assert sorted(each["source_file"] for each in two.document["tables"]) == ["agent_elo.db", "history.db"]
    assert (_agents(url), _agents(url, EloHistory)) == (["a", "b"], ["a", "z"])
    none = aragora_db("import", "--database", "agent_elo", "--database", "histroy", "--target-url", url)
    assert (none.code, none.out) == (WRONG_USE, "")
    assert "there is no database called histroy" in none.err
    assert "did you mean history?" in none.err


@pytest.mark.parametrize(("more", "code"), [((), DONE), ((BAD,), LEFT)])
def test_a_dry_run_without_a_database(more, code, nomic, aragora_db, tmp_path):
    """Before there is a server at all: whether it would work, and not one byte written anywhere for the answer."""
    _write(nomic / "agent_elo.db", *more)
    before = _files(tmp_path)
    ended = aragora_db("import", "--dry-run")
    assert (ended.code, ended.err) == (code, "")
    assert all(said in ended.out for said in ("validation only", "aragora.db is empty"))
    document = aragora_db("import", "--dry-run", "--json").document
    assert (document["mode"], document["target"], document["good"]) == (
        *("validation only", "sqlite:///.nomic/aragora.db", code == DONE),
    )
    assert document["totals"] == {"rows": 3 + code, "carried": 3, "merged": 0, "rejected": code, "parked": 0}
    assert _files(tmp_path) == before


def test_a_dry_run(nomic, dialect, fresh_databases, aragora_db, tmp_path):
    """With a database the figures are those of the import that follows, and the database stays as it is."""
    url = fresh_databases.url(dialect)
    _write(nomic / "agent_elo.db", BAD)
    before = _files(nomic)
    rehearsed = aragora_db("import", "--dry-run", "--json", "--target-url", url)
    assert (rehearsed.code, rehearsed.document["mode"], _agents(url)) == (LEFT, "dry run", [])
    assert not list(tmp_path.glob("aragora-import-*"))
    imported = aragora_db("import", "--json", "--target-url", url)
    assert imported.document["totals"] == rehearsed.document["totals"]
    assert imported.document["totals"] == {"rows": 4, "carried": 3, "merged": 0, "rejected": 1, "parked": 0}
    assert _files(nomic) == before


@pytest.mark.usefixtures("nomic")
def test_the_document(aragora_db, tmp_path):
    """What a deployment's script reads: one document of a known version, and figures that add up."""
    ended = aragora_db("import", "--json")
    document = ended.document
    assert (ended.code, ended.err, document["version"], document["good"]) == (DONE, "", 1, True)
    assert (document["mode"], document["source_dir"], document["left"]) == ("import", ".nomic", [])
    assert (document["foreign_keys_hold"], document["started_at"][-6:]) == (True, "+00:00")
    (ratings,) = [each for each in document["tables"] if each["table"] == "ratings"]
    told = [ratings[each] for each in ("source_file", "target", "rows", "adds_up")]
    assert told == ["agent_elo.db", "elo_ratings", 2, True]
    assert [(each["table"], each["rows"]) for each in ratings["checksums"]] == [
        ("elo_ratings", 2),
        ("elo_domain_ratings", 0),
    ]
    (report,) = tmp_path.glob("aragora-import-*.md")
    assert ratings["checksums"][0]["checksum"] in report.read_text(encoding="utf-8")


def test_what_was_left(nomic, aragora_db, tmp_path):
    """A bad row and a bad file: exit code 1, both named, the rejects file has all that is needed to mend the row."""
    _write(nomic / "agent_elo.db", BAD)
    (nomic / "torn.db").write_bytes(b"")
    ended = aragora_db("import")
    assert (ended.code, ended.err) == (LEFT, "")
    (rejects,) = tmp_path.glob("aragora-import-*.rejects.jsonl")
    said = (
        "torn.db: empty",
        "elo: the column takes a finite number",
        "left: 1 files not read, 1 rows rejected",
        rejects.name,
    )
    assert [each for each in said if each not in ended.out] == []
    (line,) = map(json.loads, rejects.read_text(encoding="utf-8").splitlines())
    assert list(line) == ["file", "table", "rowid", "column", "reason", "base64", "row"]
    assert (line["file"], line["table"], line["rowid"], line["column"]) == ("agent_elo.db", "ratings", 3, "elo")
    assert base64.b64decode(line["base64"]) == b"many"
    assert line["row"]["agent_name"] == ["text", base64.b64encode(b"c").decode()]
    assert line["row"]["updated_at"] == ["null", None]
    assert _agents(f"sqlite:///{nomic / 'aragora.db'}") == ["a", "b"]


def test_strict(nomic, dialect, fresh_databases, aragora_db, tmp_path):
    """All or nothing, for those who would rather mend the files first."""
    url = fresh_databases.url(dialect)
    _write(nomic / "agent_elo.db", BAD)
    before = _files(nomic)
    ended = aragora_db("import", "--strict", "--target-url", url)
    assert (ended.code, ended.out) == (LEFT, "")
    assert all(said in ended.err for said in ("nothing was imported (--strict)", "agent_elo.db, ratings: 1 rows"))
    assert (_agents(url), _agents(url, EloHistory), _files(nomic)) == ([], [], before)
    assert not list(tmp_path.glob("aragora-import-*"))
    assert aragora_db("import", "--strict", "--database", "history", "--target-url", url).code == DONE


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--orphans", "keep"], "--orphans takes park or reject, not keep"),
        (["--source-timezone", "Europe/Berlinn"], "Europe/Berlinn"),
        (["--source-timezone", "../zone"], "--source-timezone Europe/Berlin"),
        (["--dry-run", "--archive", "old"], "--archive"),
        (["--dry-run", "--verify-only"], "--verify-only"),
        (["--jobs", "0"], "--jobs"),
        (["--target-url", "mysql://h/d"], "mysql"),
        (["--dryrun"], "No such option"),
    ],
    ids=" ".join,
)
def test_wrong_use(arguments, says, nomic, aragora_db, tmp_path):
    """Said before anything is done, with the words that lead to the right use."""
    before = _files(tmp_path)
    ended = aragora_db("import", *arguments)
    assert (ended.code, ended.out) == (WRONG_USE, "")
    assert says in ended.err
    assert _files(tmp_path) == before
    assert nomic.exists()


def test_no_folder(aragora_db, tmp_path):
    """Run in the wrong place: said, instead of an import of nothing that looks like a success."""
    ended = aragora_db("import")
    assert (ended.code, ended.out) == (WRONG_USE, "")
    assert "--source-dir" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nomic")
def test_the_time_zone(dialect, fresh_databases, aragora_db):
    """An hour off in every timestamp is found after months: the zone is always shown, and it is the one that counts."""
    url = fresh_databases.url(dialect)
    ended = aragora_db("import", "--source-timezone", "Asia/Tokyo", "--target-url", url)
    assert "local times of Asia/Tokyo" in ended.out
    with closing(Database(Settings.explicit(database_url=url))) as database, database.session() as session:
        found = session.scalars(sa.select(EloRating.updated_at).order_by(EloRating.agent_name)).all()
    assert [f"{instant:%d %H:%M}" for instant in found] == ["31 03:00", "31 12:00"]
    document = aragora_db("import", "--source-timezone", "Asia/Tokyo", "--target-url", url, "--json").document
    assert document["timezone"] == "Asia/Tokyo"


@pytest.mark.usefixtures("nomic")
def test_no_password_of_a_server_that_works(fresh_databases, aragora_db, tmp_path):
    """Reports are kept beside the archive and sent around."""
    url = fresh_databases.url("postgresql")
    password = urlsplit(url).password
    if not password:
        pytest.skip("no password in the URL of the tests' PostgreSQL: there is nothing to hide")
    _write(tmp_path / ".nomic" / "agent_elo.db", BAD)
    for more in ((), ("--json",), ("--dry-run",), ("--verify-only",), ("--archive", "old")):
        ended = aragora_db("import", "--target-url", url, *more)
        assert ended.code == LEFT
        assert password not in unquote(ended.out + ended.err)
    written = {name: content for name, content in _files(tmp_path).items() if name.endswith((".md", ".jsonl"))}
    assert len(written) == 3  # two reports, and the rejects
    assert not [name for name, content in written.items() if password.encode() in content]


@pytest.mark.usefixtures("nomic")
@pytest.mark.parametrize("more", [(), ("--json",), ("--dry-run",)], ids=str)
def test_no_password_of_a_server_that_refuses(more, postgres_server, aragora_db, tmp_path):
    """Errors are what people paste into tickets."""
    at, secret = postgres_server.admin_url.rpartition("@")[2], quote(PASSWORD, safe="")
    for place in (f"nobody:{secret}@{at}", f"me:{secret}@127.0.0.1:{free_port()}/d"):
        before = _files(tmp_path)
        ended = aragora_db("import", "--target-url", f"postgresql://{place}", *more)
        assert (ended.code, ended.out) == (UNREACHABLE, "")
        said = {PASSWORD, secret, quote(PASSWORD), repr(PASSWORD)[1:-1]}
        assert not [form for form in said if form in ended.err], ended.err
        assert _files(tmp_path) == before


def test_the_script_of_the_guide(nomic, fresh_databases, tmp_path):
    """The guide's command, as it is printed there: from a shell, with this machine's time zone."""
    url = fresh_databases.url("postgresql")
    done = subprocess.run(
        [
            sys.executable,
            SCRIPT,
            *("--database", "agent_elo", "--source-dir", str(nomic), "--target-url", url, "--json"),
        ],
        cwd=tmp_path,
        env=support.clean_environment(TZ="Asia/Tokyo"),
        capture_output=True,
        text=True,
        check=False,
        timeout=support.HANG_SECONDS,
    )
    assert (done.returncode, done.stderr) == (DONE, "")
    document = json.loads(done.stdout)
    assert (document["totals"]["carried"], document["timezone"]) == (2, "Asia/Tokyo")
    assert _agents(url) == ["a", "b"]


@pytest.mark.parametrize("command", [["import", "--dry-run"], ["export", "--to", "all.db"]], ids=" ".join)
def test_the_extra_is_missing(command, nomic, aragora_db, monkeypatch):
    """Installed without the extra: the command that mends it, instead of a traceback."""
    assert nomic.exists()
    monkeypatch.setattr("aragora_db.cli.transfer.find_spec", {"orjson": 1, "tzlocal": 1}.get)
    ended = aragora_db(*command)
    assert (ended.code, ended.out) == (WRONG_USE, "")
    assert "this needs apsw, xxhash: pip install 'aragora_db[import]'" in ended.err


def test_the_help(aragora_db):
    """What nobody finds in the help, nobody uses."""
    told = aragora_db("import", "--help").out
    flags = ("--dry-run", "--database", "--source-dir", "--target-url", "--verify-only", "--strict", "--orphans")
    assert [
        word for word in (*flags, "--source-timezone", "--archive", "--jobs", "--json", "rejects") if word not in told
    ] == []
