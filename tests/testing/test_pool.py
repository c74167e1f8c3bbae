"""A database that was used and reset equals a fresh copy; one that cannot be reset is dropped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from aragora_db import Database
from aragora_db.models import ContinuumMemory, EloRating
from aragora_db.stores import EloStore
from aragora_db.testing.databases import create_database, drop_database, drop_run
from aragora_db.testing.fresh import DatabaseMaker, FreshDatabases
from aragora_db.testing.handles import PostgresServer
from aragora_db.testing.plugin import missing
from aragora_db.testing.pool import DatabasePool

pytestmark = pytest.mark.slow


@pytest.fixture
def maker(
    postgres_server: PostgresServer, database_maker: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory
) -> DatabaseMaker:
    """A maker with a pool of this test's own, and the template of the run."""
    database_maker.make("postgresql")[1]()  # the template is there
    return DatabaseMaker(tmp_path_factory.mktemp("databases"), lambda: postgres_server, "pooltest")


@pytest.fixture
def fresh(maker: DatabaseMaker) -> Iterator[FreshDatabases]:
    """Databases from that pool, dropped at the end."""
    databases = FreshDatabases(maker)
    yield databases
    databases.drop_all()
    while maker.pool is not None and maker.pool._used:
        drop_database(maker._server().admin_url, maker.pool._used.popleft())


def name_in(url: str) -> str:
    """The database's name."""
    return url.rpartition("/")[2]


def dump(server: PostgresServer, url: str) -> str:
    """Return schema, rows, sequences, settings and grants, as ``pg_dump --create`` prints them."""
    program = server.bindir / "pg_dump" if server.bindir is not None else None
    if program is None or not program.exists():
        missing("no pg_dump here: not in the folder of the server's programs. Install the package postgresql-client")
    done = subprocess.run([program, "--create", url], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.replace(name_in(url), "DATABASE").splitlines()
    # A token that pg_dump draws for each run, since the fix of CVE-2025-8714.
    return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


def statistics(url: str) -> list[tuple[object, ...]]:
    """What the planner knows of the tables, which no dump shows."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT relname, reltuples, relpages FROM pg_class WHERE oid >= 16384 AND relkind = 'r' ORDER BY 1"
        ).fetchall()


def use(url: str) -> None:
    """Write as a test does: through stores, the ORM and SQL; into tables with foreign keys, triggers and sequences."""
    database = Database(url)
    database.transact(lambda s: EloStore(s).record_match("d1", ["ada", "bob"], {"ada": 1.0, "bob": 0.0}, domain="law"))
    database.transact(lambda s: s.add(ContinuumMemory(id="m1", content="Quorum beats retry.", importance=0.8)))
    database.close()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TEMPORARY TABLE staging AS SELECT 1 AS one")
        connection.execute("SELECT nextval(sequencename::regclass) FROM pg_sequences")


def test_a_reset_database_equals_a_fresh_one(postgres_server: PostgresServer, fresh: FreshDatabases) -> None:
    """Rows, sequences, catalogue, settings and statistics are those of the template, however often it was used."""
    untouched = fresh.url("postgresql")
    expected = dump(postgres_server, untouched), statistics(untouched)
    used = fresh.url("postgresql")
    for _ in range(3):
        use(used)
        assert dump(postgres_server, used) != expected[0]
        fresh._take_back.pop()()
        assert fresh.url("postgresql") == used, "it was reset, not dropped"
        assert (dump(postgres_server, used), statistics(used)) == expected


DAMAGE = {
    "a new table": "CREATE TABLE extra (a int)",
    "a new column": "ALTER TABLE elo_ratings ADD COLUMN extra int",
    "a column that may be NULL": "ALTER TABLE elo_ratings ALTER COLUMN elo DROP NOT NULL",
    "another default": "ALTER TABLE elo_ratings ALTER COLUMN elo SET DEFAULT 7",
    "a constraint less": "ALTER TABLE elo_head_to_head DROP CONSTRAINT ck_elo_head_to_head_agent_order",
    "a new index": "CREATE INDEX extra ON elo_ratings (elo)",
    "a new schema": "CREATE SCHEMA extra",
    "a new function": "CREATE FUNCTION extra() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a new view": "CREATE VIEW extra AS SELECT 1 AS one",
    "a new type": "CREATE TYPE extra AS ENUM ('a')",
    "a trigger that is off": "ALTER TABLE schema_history DISABLE TRIGGER USER",
    "a storage parameter": "ALTER TABLE elo_ratings SET (fillfactor = 50)",
    "row security": "ALTER TABLE elo_ratings ENABLE ROW LEVEL SECURITY",
    "a policy": "CREATE POLICY extra ON elo_ratings USING (true)",
    "a grant on a table": "GRANT SELECT ON elo_ratings TO PUBLIC",
    "a grant on the schema": "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "a comment": "COMMENT ON TABLE elo_ratings IS 'extra'",
    "a sequence's step": "ALTER SEQUENCE elo_history_id_seq INCREMENT 2",
    "a large object": "SELECT lo_create(0)",
    "a setting of the database": "ALTER DATABASE {database} SET work_mem = 65536",
    "a connection limit": "ALTER DATABASE {database} CONNECTION LIMIT 3",
    "statistics": "INSERT INTO elo_ratings (agent_name) VALUES ('a'); ANALYZE elo_ratings",
    "a row of the migrations": """INSERT INTO schema_history
        SELECT (json_populate_record(h, '{"id": 999, "revision": "x"}')).* FROM schema_history AS h LIMIT 1""",
    "a table that has grown": "INSERT INTO elo_ratings (agent_name) SELECT 'a' || n FROM generate_series(1, 5000) AS n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_database_that_was_changed_is_dropped(
    postgres_server: PostgresServer, maker: DatabaseMaker, fresh: FreshDatabases, damage: str
) -> None:
    """Another test must never find it."""
    url = fresh.url("postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(damage.replace("{database}", name_in(url)))
    fresh.drop_all()
    assert fresh.url("postgresql") != url
    assert sum(maker.pool.dropped.values()) == 1
    with psycopg.connect(postgres_server.admin_url) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name_in(url),))
        assert found.fetchone() is None


def test_a_database_with_an_open_session_is_dropped(
    maker: DatabaseMaker, fresh: FreshDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that a test forgot would write into the next test."""
    monkeypatch.setattr("aragora_db.testing.reset._SESSION_SECONDS", 0.05)
    url = fresh.url("postgresql")
    with psycopg.connect(url) as forgotten:
        fresh.drop_all()
        assert fresh.url("postgresql") != url
        with pytest.raises(psycopg.OperationalError):
            forgotten.execute("SELECT 1")
    assert maker.pool.dropped == {"a session is open": 1}


def test_an_owner_who_is_not_a_superuser_can_reset(postgres_server: PostgresServer) -> None:
    """On a server given by URL the role may create databases, and nothing more."""
    role = postgres_server.unique_name()
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'plain'")
    try:
        parts = postgres_server.admin_url.rpartition("@")
        owner = PostgresServer(f"postgresql://{role}:plain@{parts[2]}", f"{postgres_server.run}o")
        template = owner.unique_name()
        with psycopg.connect(create_database(owner.admin_url, template)) as connection:
            connection.execute("CREATE TABLE parent (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)")
            connection.execute("CREATE TABLE child (parent int REFERENCES parent, up int)")
        pool = DatabasePool(owner, template)
        name = pool.take()
        with psycopg.connect(owner.url_for(name)) as connection:
            connection.execute("WITH p AS (INSERT INTO parent DEFAULT VALUES RETURNING id) SELECT * FROM p")
            connection.execute("INSERT INTO child VALUES (1, 2)")
        pool.give_back(name)
        assert pool.take() == name, pool.dropped
        with psycopg.connect(owner.url_for(name)) as connection:
            assert connection.execute("SELECT (SELECT count(*) FROM child), nextval('parent_id_seq')").fetchone() == (
                0,
                1,
            )
        drop_run(owner)
    finally:
        with psycopg.connect(postgres_server.admin_url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE IF EXISTS {role}")


def test_sqlite_files_are_copies_of_one_template(maker: DatabaseMaker, fresh: FreshDatabases) -> None:
    """The template is migrated once for all workers, and no test writes into it."""
    for _ in range(2):
        database = Database(fresh.url("sqlite"))
        assert database.transact(lambda s: EloStore(s).rating("ada")) is None
        database.transact(lambda s: s.add(EloRating(agent_name="ada")))
        database.close()
    assert len(list(maker._folder.glob("template_*.db"))) == 1
    fresh.drop_all()
    assert [path.name for path in maker._folder.glob("*.db*") if not path.name.startswith("template")] == []
