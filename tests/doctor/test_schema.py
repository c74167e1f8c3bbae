"""Schemas that are behind, ahead, changed by hand or without a version, on both databases."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.engine import create_engine
from aragora_db.migrations import scripts

pytestmark = pytest.mark.slow

REVISION = """\"\"\"A revision of a test.\"\"\"

from aragora_db.migrations.forward_only import no_way_back as __getattr__

revision = "{stem}"
down_revision = "{follows}"
branch_labels = None
depends_on = None


def upgrade():
    pass
"""


@pytest.fixture
def statements():
    """Runs statements on a database, past every store."""

    def run(url, *texts):
        engine = create_engine(Settings.explicit(database_url=url))
        with engine.begin() as connection:
            for text in texts:
                connection.execute(sa.text(text))
        engine.dispose()

    return run


@pytest.fixture
def revisions(tmp_path, monkeypatch):
    """A copy of the revisions; the package reads these until the test ends."""
    folder = tmp_path / "alembic"
    shutil.copytree(scripts.script_location(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(scripts, "script_location", lambda: folder)

    def forget():
        scripts.chain.cache_clear()
        scripts.checksum.cache_clear()

    class Copy:
        def add(self, stem):
            """A revision that does nothing, after the newest one."""
            source = REVISION.format(stem=stem, follows=scripts.head())
            (folder / "versions" / f"{stem}.py").write_text(source)
            forget()

        def remove(self, stem):
            """As if it had never been there."""
            (folder / "versions" / f"{stem}.py").unlink()
            forget()

        def edit(self, stem):
            """Put a comment before it."""
            path = folder / "versions" / f"{stem}.py"
            path.write_text(f"# edited\n{path.read_text()}")
            forget()

    forget()
    yield Copy()
    monkeypatch.undo()
    forget()


def test_pending_migrations(dialect, fresh_databases, revisions, examine):
    """The new version was deployed and nobody migrated: every session is refused."""
    url, head = fresh_databases.url(dialect), scripts.head()
    revisions.add("20991230_newer")
    revisions.add("20991231_newest")
    report = examine(database_url=url)
    assert report.errors == ["pending-migrations"]
    assert f"2 revisions are pending after {head}" in report["pending-migrations"].message
    assert report["pending-migrations"].fix == "aragora-db migrate"
    with closing(Database(url)) as database:
        database.migrate()
    assert examine(database_url=url).errors == []


def test_a_database_of_a_newer_version(dialect, fresh_databases, revisions, examine):
    """A deployment was rolled back and the database was not: the old code must not write into it."""
    url = fresh_databases.url(dialect)
    revisions.add("20991230_newer")
    with closing(Database(url)) as database:
        database.migrate()
    revisions.remove("20991230_newer")
    report = examine(database_url=url)
    assert report.errors == ["schema-ahead"]
    assert "20991230_newer" in report["schema-ahead"].message
    revisions.add("20991231_mine")
    report = examine(database_url=url)
    assert report.errors == ["schema-diverged"]


def test_an_edited_revision(dialect, fresh_databases, revisions, examine):
    """Two databases at the same revision are not the same any more, and nobody can tell which is which."""
    url = fresh_databases.url(dialect)
    edited = scripts.head()
    revisions.edit(edited)
    report = examine(database_url=url)
    assert report.errors == ["revision-edited"]
    assert edited in report["revision-edited"].message


def test_drift(dialect, fresh_databases, statements, examine):
    """Somebody dropped an index by hand, and a page takes a minute since."""
    url = fresh_databases.url(dialect)
    index = next(iter(sorted(name for name in _index_names(url))))
    statements(url, f"DROP INDEX {index}")
    report = examine(database_url=url)
    assert report.errors == ["schema-drift"]
    assert index in report["schema-drift"].message


def _index_names(url):
    engine = create_engine(Settings.explicit(database_url=url))
    inspector = sa.inspect(engine)
    found = [each["name"] for each in inspector.get_indexes("debates") if not each["unique"]]
    engine.dispose()
    return found


def test_a_schema_without_a_version(dialect, fresh_databases, statements, examine):
    """A restore left the version table out: whoever migrates now would break it."""
    url = fresh_databases.url(dialect)
    statements(url, "DROP TABLE aragora_schema_version")
    assert examine(database_url=url).errors == ["schema-unversioned"]


def test_a_file_that_doctor_must_not_switch(fresh_databases, examine):
    """Looking must not change the file's journal mode: another program may have chosen it."""
    url = fresh_databases.url("sqlite")
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    report = examine(database_url=url)
    assert report["journal-not-wal"].level == "warn"
    assert report["schema"].level == "skipped"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_role_that_may_not_make_temporary_tables(own_healthy_url, admin, examine):
    """A stricter administrator than most is no reason for an error; the version is still looked at."""
    name = urlsplit(own_healthy_url).path[1:]
    admin().execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    report = examine(database_url=own_healthy_url)
    assert report.errors == []
    assert [finding.level for finding in report.of("schema")] == ["ok", "skipped"]
    assert report.of("schema")[1].fix.startswith("aragora-db check")
