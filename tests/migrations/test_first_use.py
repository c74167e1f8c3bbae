"""What the first session of a process does to a database: initialise an empty one, and touch no other."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
import support

from aragora_db import Database, Settings
from aragora_db.cli import main
from aragora_db.engine import Target
from aragora_db.errors import MigrationLocked, SchemaAhead, SchemaBehind, SchemaDiverged
from aragora_db.migrations import scripts
from aragora_db.migrations.state import Verdict
from aragora_db.migrations.status import status
from aragora_db.migrations.upgrade import inspect_state, migrate
from aragora_db.models import EloRating

pytestmark = pytest.mark.slow


def target(url, **settings) -> Target:
    """A database under these settings."""
    return Target.of(Settings.explicit(database_url=url, **settings))


def ratings(session) -> int:
    """Rows in a table, to see that the schema is there."""
    return session.scalar(sa.select(sa.func.count()).select_from(EloRating))


@pytest.fixture
def opened():
    """Makes databases with these settings, which are not validated, and closes them at the end."""
    made: list[Database] = []

    def make(url: str, **settings) -> Database:
        made.append(Database(Settings.explicit(database_url=url).model_copy(update=settings)))
        return made[-1]

    yield make
    for database in made:
        database.close()


def test_an_empty_database_is_initialised_by_the_first_session(dialect, fresh_databases, opened):
    """The guide promises tables "on first connection"; without them a laptop's first run ends in a traceback."""
    url = fresh_databases.url(dialect, migrated=False)
    with opened(url).session() as session:
        session.add(EloRating(agent_name="claude"))
    assert opened(url).transact(ratings, read_only=True) == 1
    assert status(target(url)).good


def test_an_empty_database_is_initialised_by_the_first_async_session(dialect, fresh_databases, opened):
    """As above, for the servers, which are async; the event loop must not be blocked meanwhile."""
    database = opened(fresh_databases.url(dialect, migrated=False))
    beats = 0

    async def heart() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    async def use() -> None:
        beating = asyncio.create_task(heart())
        async with database.async_session() as session:
            session.add(EloRating(agent_name="claude"))
        beating.cancel()
        assert await database.transact_async(ratings, read_only=True) == 1
        await database.aclose()

    asyncio.run(use())
    assert beats > 3


def test_a_database_in_memory_is_initialised(opened):
    """Tests of Aragora run on it, sync and async beside each other."""
    database = opened("sqlite://")
    assert database.transact(ratings) == 0
    database.transact(lambda session: session.add(EloRating(agent_name="claude")))

    async def use() -> int:
        found = await database.transact_async(ratings)
        await database.aclose()
        return found

    assert asyncio.run(use()) == 1


@pytest.mark.parametrize("auto_migrate", [None, False])
def test_pending_revisions_are_named_and_nothing_is_touched(auto_migrate, dialect, at_revision, opened):
    """A replica of the new version that migrates by itself takes the old ones down in the middle of a roll-out."""
    url = at_revision(dialect, "20260112_debates")
    before = inspect_state(target(url))
    sentence = f"is at 20260112_debates and {len(before.pending)} revisions are pending.* run aragora-db migrate"
    with (
        pytest.raises(SchemaBehind, match=sentence),
        opened(url, auto_migrate=auto_migrate).session(),
    ):
        pass
    assert inspect_state(target(url)) == before


def test_a_database_ahead_is_refused(dialect, fresh_databases, opened, revisions):
    """An old version that writes into a newer schema leaves columns empty that the new one relies on."""
    url = fresh_databases.url(dialect)
    newer = revisions.add("20991231_newer")
    migrate(target(url))
    revisions.remove(newer)
    head = scripts.head()
    with pytest.raises(SchemaAhead, match=f"is at {newer}, which this version does not know.*deploy the newer"):
        opened(url).transact(ratings)
    other = revisions.add("20980101_other")
    with pytest.raises(SchemaDiverged, match=f"{other} was never applied; the last revision both know is {head}"):
        opened(url).transact(ratings)


def test_auto_migrate_applies_what_is_pending(dialect, at_revision, opened):
    """ARAGORA_AUTO_MIGRATE_ON_STARTUP=true is for single instances, which nobody migrates by hand."""
    url = at_revision(dialect, "20260112_debates")
    assert opened(url, auto_migrate=True).transact(ratings) == 0
    assert inspect_state(target(url)).verdict is Verdict.AT_HEAD


def test_auto_migrate_false_does_not_even_initialise(dialect, fresh_databases, opened):
    """Where a job migrates with another role, the application's role must not try."""
    url = fresh_databases.url(dialect, migrated=False)
    with pytest.raises(SchemaBehind, match=f"is empty and {len(scripts.chain())} revisions are pending"):
        opened(url, auto_migrate=False).transact(ratings)
    assert inspect_state(target(url)).verdict is Verdict.EMPTY


def test_looking_does_not_make_a_file(tmp_path: Path, monkeypatch, capsys):
    """`status` on a mistyped path would report an empty database, and from then on there would be one."""
    path = tmp_path / "folder" / "missing.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    for command in ("status", "check"):
        with pytest.raises(SystemExit) as ended:
            main([command])
        assert ended.value.code == 1
        assert "empty" in capsys.readouterr().out
    assert not path.parent.exists()


@pytest.fixture
def half_way(dialect, at_revision, revisions, tmp_path):
    """Makes a database that another thread migrates; its last revision waits until the block ends."""
    arrived, gate = tmp_path / "arrived", tmp_path / "gate"
    body = f"""
        import pathlib, time
        pathlib.Path({str(arrived)!r}).touch()
        while not pathlib.Path({str(gate)!r}).exists():
            time.sleep(0.01)
    """

    @contextmanager
    def block(start: str | None, *, fails: bool = False):
        url = at_revision(dialect, start)
        revisions.add("20991231_slow", body + "    raise RuntimeError" * fails)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(migrate, target(url))
            try:
                support.eventually(lambda: arrived.exists() or other.done(), "the last revision runs")
                assert arrived.exists(), other.exception(support.HANG_SECONDS)
                yield url
            finally:
                gate.touch()
                wait([other], support.HANG_SECONDS)

    return block


def use_meanwhile(block, database) -> Future:
    """Use a database for the first time while another thread is half way; returns what came of it."""
    with ThreadPoolExecutor(1) as pool:
        with block as url:
            assert inspect_state(target(url)).verdict is not Verdict.AT_HEAD
            first_use = pool.submit(lambda: database(url).transact(ratings))
            assert not wait([first_use], timeout=0.3).done
        wait([first_use], support.HANG_SECONDS)
    return first_use


@pytest.mark.parametrize("start", [None, "20260112_debates"])
def test_a_first_use_in_the_middle_of_another_waits_for_it(start, half_way, opened):
    """Two replicas start on an empty database: the second would see half of the revisions and die of SchemaBehind."""
    smallest = {"pool_size": 1, "pool_max_overflow": 0, "pool_timeout": 1}
    assert use_meanwhile(half_way(start), lambda url: opened(url, **smallest)).result(0) == 0


def test_a_first_use_that_waited_in_vain_says_what_is_pending(half_way, opened):
    """The other process failed: what it left is not taken for an empty database."""
    with pytest.raises(SchemaBehind, match="revisions are pending"):
        use_meanwhile(half_way("20260112_debates", fails=True), opened).result(0)


def test_a_first_use_waits_for_a_bounded_time(half_way, opened):
    """A migration that hangs must not hang every replica without a word."""
    expected = r"process \d+ \(.* migrate, .*holds the migration lock, waited 0.1 s|kept writing to .*, waited 0.1 s"
    with half_way("20260112_debates") as url, pytest.raises(MigrationLocked, match=expected):
        opened(url, migration_lock_timeout=0.1).transact(ratings)


def test_a_partial_migration_goes_on_to_head(dialect, fresh_databases):
    """The guide's `migrate --version 20260115_add_workspace_id`, and later the rest."""
    url = fresh_databases.url(dialect, migrated=False)
    stop = scripts.chain().index("20260115_add_workspace_id") + 1
    assert tuple(migrate(target(url), "20260115_add_workspace_id")) == scripts.chain()[:stop]
    assert migrate(target(url), "20260115_add_workspace_id") == []
    assert tuple(migrate(target(url))) == scripts.chain()[stop:]
    assert migrate(target(url)) == []
    assert status(target(url)).good
