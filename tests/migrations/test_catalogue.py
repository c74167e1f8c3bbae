"""The models against a live catalogue: no false alarm, and no miss."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
import support
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.sql.naming import conv

from aragora_db import types
from aragora_db.errors import MigrationError, UsageError
from aragora_db.migrations.catalogue import Difference, compare
from aragora_db.models import Base
from aragora_db.testing.databases import create_database, drop_database
from aragora_db.testing.handles import PgBouncer, PostgresServer
from aragora_db.testing.plugin import missing
from aragora_db.types import ddl

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
AWKWARD = 'it\'s, (a) "b" -- c /* d */ [e] `f` CHECK ('
NOTE = "'" + AWKWARD.replace("'", "''") + "'"
ELO = "elo >= 0 AND elo < 1e6"
TEAMS = "('red', 'blue, (light) it''s')"


def agents_columns() -> dict[str, sa.Column[Any]]:
    """Columns of every type, with defaults of every kind."""
    columns: list[sa.Column[Any]] = [
        sa.Column("name", types.Key(), nullable=False),
        sa.Column("elo", types.Double(), server_default=sa.text("1500.0"), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), server_default=ddl.now(), nullable=False),
        sa.Column("offset", types.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("active", types.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("note", types.Text(), server_default=AWKWARD, nullable=False),
        sa.Column("profile", types.Json(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("team", types.Text()),
        sa.Column("photo", types.Blob()),
        sa.Column("mood", types.Double()),
    ]
    return {column.name: column for column in columns}


def agents_constraints() -> dict[str, Any]:
    """Constraints of one table, by name."""
    active = sa.CheckConstraint("active IN (0, 1)", name=conv("ck_agents_active"))
    constraints = [
        sa.PrimaryKeyConstraint("name", name="pk_agents"),
        sa.CheckConstraint(ELO, name=conv("ck_agents_elo")),
        sa.CheckConstraint(f"team IN {TEAMS}", name=conv("ck_agents_team")),
        active.ddl_if(dialect="sqlite"),
    ]
    return {str(constraint.name): constraint for constraint in constraints}


def matches_items() -> list[Any]:
    """A numbered table with unique keys and a deferred reference to itself."""
    return [
        sa.Column("id", types.Integer(), sa.Identity(), nullable=False),
        sa.Column("debate", types.Key(), nullable=False),
        sa.Column("round", types.Integer(), nullable=False),
        sa.Column("winner", types.Key()),
        sa.Column("rematch_of", types.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_matches"),
        sa.UniqueConstraint("debate", "round", name="uq_matches_debate_round"),
        sa.ForeignKeyConstraint(["winner"], ["agents.name"], name="fk_matches_winner_agents", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["rematch_of"], ["matches.id"], name="fk_matches_rematch_of_matches", deferrable=True, initially="DEFERRED"
        ),
    ]


def parts_items() -> list[Any]:
    """A composite key that is also a composite reference."""
    return [
        sa.Column("debate", types.Key(), nullable=False),
        sa.Column("round", types.Integer(), nullable=False),
        sa.Column("agent", types.Key(), nullable=False),
        sa.Column("next round", types.Integer(), sa.Computed("round + 1", persisted=True)),
        sa.PrimaryKeyConstraint("debate", "round", "agent", name="pk_parts"),
        sa.UniqueConstraint("agent", "debate", name="uq_parts_agent_debate"),
        sa.ForeignKeyConstraint(
            ["debate", "round"],
            ["matches.debate", "matches.round"],
            name="fk_parts_debate_round_matches",
            ondelete="CASCADE",
        ),
    ]


MATCHES_OPTIONS = {"sqlite_strict": True, "sqlite_autoincrement": True}


def models() -> sa.MetaData:
    """Everything that the comparison has to see, in three tables."""
    metadata = sa.MetaData(naming_convention=NAMING)
    agents = sa.Table(
        "agents", metadata, *agents_columns().values(), *agents_constraints().values(), sqlite_strict=True
    )
    sa.Table("matches", metadata, *matches_items(), **MATCHES_OPTIONS)
    sa.Table("parts", metadata, *parts_items(), sqlite_strict=True, sqlite_with_rowid=False)
    sa.Index("ix_agents_leaderboard", agents.c.elo.desc(), agents.c.name)
    sa.Index("ix_agents_active", agents.c.name, sqlite_where=agents.c.active, postgresql_where=agents.c.active)
    sa.Index("ix_agents_lower", sa.func.lower(agents.c.name))
    sa.Index("uq_agents_team", agents.c.team, unique=True).ddl_if(dialect="sqlite")
    sa.Index("uq_agents_team", agents.c.team, unique=True, postgresql_nulls_not_distinct=True).ddl_if(
        dialect="postgresql"
    )
    return metadata


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: PostgresServer) -> Iterator[sa.Engine]:
    """A database of this module's own."""
    name = postgres_server.unique_name()
    url = create_database(postgres_server.admin_url, name)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    yield engine
    engine.dispose()
    drop_database(postgres_server.admin_url, name)


@pytest.fixture
def sqlite_engine() -> Iterator[sa.Engine]:
    """An empty database in memory."""
    engine = sa.create_engine("sqlite://")
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A connection to an empty database; what a test does there is rolled back."""
    engine = request.getfixturevalue({"sqlite": "sqlite_engine", "postgresql": "postgres_engine"}[request.param])
    with engine.connect() as opened:
        yield opened


@pytest.fixture
def postgres(postgres_engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to PostgreSQL with the models' tables, in a transaction that is rolled back."""
    with postgres_engine.connect() as opened:
        models().create_all(opened)
        yield opened


@pytest.fixture
def sqlite(sqlite_engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to SQLite with the models' tables."""
    with sqlite_engine.connect() as opened:
        models().create_all(opened)
        yield opened


# -- no false alarm ---------------------------------------------------------------------------------------------------


def test_what_create_all_makes_is_clean(connection: sa.Connection) -> None:
    """A difference here would be an alarm on every healthy database."""
    models().create_all(connection)
    assert compare(connection, models()) == []


def test_what_revisions_make_is_clean(connection: sa.Connection) -> None:
    """A difference here would be an alarm on every database that came through the revisions: all of them."""
    op = Operations(MigrationContext.configure(connection))
    columns, constraints = agents_columns(), agents_constraints()
    first = [columns.pop(name) for name in ("name", "elo", "created_at")]
    op.create_table("agents", *first, constraints["pk_agents"], constraints["ck_agents_elo"], sqlite_strict=True)
    for column in columns.values():
        op.add_column("agents", column)
    with op.batch_alter_table("agents") as batch:
        batch.create_check_constraint(conv("ck_agents_team"), f"team IN {TEAMS}")
        if connection.dialect.name == "sqlite":
            batch.create_check_constraint(conv("ck_agents_active"), "active IN (0, 1)")
    op.create_table("matches", *matches_items(), **MATCHES_OPTIONS)
    op.create_table("parts", *parts_items(), sqlite_strict=True, sqlite_with_rowid=False)
    op.create_index("ix_agents_leaderboard", "agents", [sa.text("elo DESC"), "name"])
    active = sa.text("active")
    op.create_index("ix_agents_active", "agents", ["name"], sqlite_where=active, postgresql_where=active)
    op.create_index("ix_agents_lower", "agents", [sa.text("lower(name)")])
    op.create_index("uq_agents_team", "agents", ["team"], unique=True, postgresql_nulls_not_distinct=True)
    assert compare(connection, models()) == []


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE agents RENAME COLUMN team TO side", "ALTER TABLE agents RENAME COLUMN side TO team"],
        ["ALTER TABLE matches RENAME TO games", "ALTER TABLE games RENAME TO matches"],
        ["CREATE TABLE unknown (id INTEGER)", "CREATE INDEX ix_unknown ON unknown (id)"],
        ["CREATE VIEW leaders AS SELECT name FROM agents"],
    ],
)
def test_what_changes_nothing_of_ours_is_clean(connection: sa.Connection, statements: list[str]) -> None:
    """SQLite writes other quotes into the stored text when something is renamed; other tables are not our business."""
    models().create_all(connection)
    for statement in statements:
        connection.exec_driver_sql(statement)
    assert compare(connection, models()) == []


def test_our_own_models_are_clean(connection: sa.Connection) -> None:
    """`aragora-db check` on a fresh database would never succeed."""
    Base.metadata.create_all(connection)
    assert compare(connection, Base.metadata) == []


def test_columns_that_a_revision_widened_are_clean(postgres: sa.Connection) -> None:
    """PostgreSQL writes defaults, checks and indexes anew when a type changes: they would be reported for ever."""
    narrow = 'ALTER elo TYPE real, ALTER "offset" TYPE integer, ALTER team TYPE text COLLATE "default"'
    wide = 'ALTER elo TYPE double precision, ALTER "offset" TYPE bigint, ALTER team TYPE text COLLATE "C"'
    postgres.exec_driver_sql(f"ALTER TABLE agents {narrow}")
    assert [found.name for found in compare(postgres, models())] == ["elo", "offset", "team"]
    postgres.exec_driver_sql(f"ALTER TABLE agents {wide}")
    assert compare(postgres, models()) == []


@pytest.fixture
def two_databases(postgres_server: PostgresServer) -> Iterator[list[str]]:
    """The URLs of two empty databases."""
    names = [postgres_server.unique_name() for _ in range(2)]
    yield [create_database(postgres_server.admin_url, name) for name in names]
    for name in names:
        drop_database(postgres_server.admin_url, name)


def tool(server: PostgresServer, name: str) -> str:
    """Return the path of a client program."""
    path = shutil.which(name, path=server.bindir) if server.bindir else None
    if path is None:
        missing(f"no {name} here: a dump cannot be compared. Install the package postgresql-client")
    return path


def run(*command: str, text: bytes = b"") -> bytes:
    """Run a client program with this on its stdin, and return its stdout."""
    done = subprocess.run(command, capture_output=True, input=text, check=False, timeout=support.HANG_SECONDS)
    if b"server version mismatch" in done.stderr:
        missing("no pg_dump for this server here: it is older. Install the package postgresql-client of its version")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_dump_that_was_restored_is_clean(postgres_server: PostgresServer, two_databases: list[str]) -> None:
    """A restored backup would be reported as damaged on the worst day for it."""
    source, target = (
        sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
        for url in two_databases
    )
    with source.begin() as connection:
        models().create_all(connection)
        Base.metadata.create_all(connection)
    psql = tool(postgres_server, "psql")
    dump = run(tool(postgres_server, "pg_dump"), "--dbname", two_databases[0])
    run(psql, "-v", "ON_ERROR_STOP=1", "--dbname", two_databases[1], text=dump)
    with target.connect() as connection:
        assert compare(connection, models()) == []
        assert compare(connection, Base.metadata) == []


# -- no miss ----------------------------------------------------------------------------------------------------------


class Mutation(NamedTuple):
    """What is done to a table that is as the models have it, and the difference that must come of it."""

    title: str
    told: str
    statement: str

    def check(self, differences: list[Difference]) -> None:
        """Exactly this one difference is reported."""
        assert [f"{found.change} {found.kind} {found.table}.{found.name}" for found in differences] == [self.told]


def each(*mutations: tuple[str, str, str]) -> pytest.MarkDecorator:
    """One test for each mutation."""
    return pytest.mark.parametrize(
        "mutation", [pytest.param(Mutation(*mutation), id=mutation[0].replace(" ", "-")) for mutation in mutations]
    )


BOARD = "ix_agents_leaderboard"
ACTIVE = "ix_agents_active"
LOWER = "ix_agents_lower"
TEAM = "uq_agents_team"
WINNER = "fk_matches_winner_agents"
WINNER_AGAIN = f"matches DROP CONSTRAINT {WINNER}, ADD CONSTRAINT {WINNER} FOREIGN KEY (winner) REFERENCES agents"


@each(
    ("table missing", "missing table parts.parts", "DROP TABLE parts"),
    ("column missing", "missing column agents.photo", "ALTER TABLE agents DROP COLUMN photo"),
    ("column extra", "unexpected column agents.extra", "ALTER TABLE agents ADD COLUMN extra TEXT"),
    ("index missing", f"missing index agents.{BOARD}", f"DROP INDEX {BOARD}"),
    ("index extra", "unexpected index agents.ix", "CREATE INDEX ix ON agents (photo)"),
    ("index on other columns", f"changed index agents.{BOARD}", f"CREATE INDEX {BOARD} ON agents (elo DESC)"),
    ("index in other order", f"changed index agents.{BOARD}", f"CREATE INDEX {BOARD} ON agents (name, elo DESC)"),
    ("index without DESC", f"changed index agents.{BOARD}", f"CREATE INDEX {BOARD} ON agents (elo, name)"),
    ("index made unique", f"changed index agents.{BOARD}", f"CREATE UNIQUE INDEX {BOARD} ON agents (elo DESC, name)"),
    ("index not unique", f"changed index agents.{TEAM}", f"CREATE INDEX {TEAM} ON agents (team)"),
    ("index on other expression", f"changed index agents.{LOWER}", f"CREATE INDEX {LOWER} ON agents (upper(name))"),
    ("predicate lost", f"changed index agents.{ACTIVE}", f"CREATE INDEX {ACTIVE} ON agents (name)"),
    ("predicate changed", f"changed index agents.{ACTIVE}", f"CREATE INDEX {ACTIVE} ON agents (name) WHERE NOT active"),
)
def test_a_change_on_either_database_is_told(connection: sa.Connection, mutation: Mutation) -> None:
    """A database that lacks this would pass `aragora-db check`."""
    models().create_all(connection)
    if match := re.match(r"CREATE (?:UNIQUE )?INDEX (\w{3,})", mutation.statement):
        connection.exec_driver_sql(f"DROP INDEX {match[1]}")
    connection.exec_driver_sql(mutation.statement)
    mutation.check(compare(connection, models()))


@each(
    ("table unlogged", "changed table parts.parts", "parts SET UNLOGGED"),
    ("null allowed", "changed column agents.elo", "agents ALTER elo DROP NOT NULL"),
    ("null refused", "changed column agents.photo", "agents ALTER photo SET NOT NULL"),
    ("default lost", "changed column agents.elo", "agents ALTER elo DROP DEFAULT"),
    ("default changed", "changed column agents.elo", "agents ALTER elo SET DEFAULT 1501.0"),
    ("default added", "changed column agents.photo", "agents ALTER photo SET DEFAULT 'x'"),
    ("default in capitals", "changed column agents.note", f"agents ALTER note SET DEFAULT {NOTE.upper()}"),
    ("default true", "changed column agents.active", "agents ALTER active SET DEFAULT true"),
    ("other clock", "changed column agents.created_at", "agents ALTER created_at SET DEFAULT clock_timestamp()"),
    ("collation", "changed column agents.note", 'agents ALTER note TYPE text COLLATE "default"'),
    ("varchar", "changed column agents.note", 'agents ALTER note TYPE varchar COLLATE "C"'),
    ("real for double", "changed column agents.mood", "agents ALTER mood TYPE real"),
    ("integer for bigint", "changed column matches.round", "matches ALTER round TYPE integer"),
    ("no time zone", "changed column agents.created_at", "agents ALTER created_at TYPE timestamp"),
    (
        "json with default",
        "changed column agents.profile",
        "agents ALTER profile DROP DEFAULT, ALTER profile TYPE json, ALTER profile SET DEFAULT '{}'",
    ),
    ("not generated", "changed column parts.next round", 'parts ALTER "next round" DROP EXPRESSION'),
    ("identity lost", "missing identity matches.id", "matches ALTER id DROP IDENTITY"),
    ("identity always", "changed identity matches.id", "matches ALTER id SET GENERATED ALWAYS"),
    ("identity step", "changed identity matches.id", "matches ALTER id SET INCREMENT BY 2"),
    ("identity extra", "unexpected identity matches.round", "matches ALTER round ADD GENERATED ALWAYS AS IDENTITY"),
    ("unique missing", "missing constraint parts.uq_parts_agent_debate", "parts DROP CONSTRAINT uq_parts_agent_debate"),
    ("unique extra", "unexpected constraint parts.uq", "parts ADD CONSTRAINT uq UNIQUE (debate)"),
    (
        "unique on other columns",
        "changed constraint parts.uq_parts_agent_debate",
        "parts DROP CONSTRAINT uq_parts_agent_debate, ADD CONSTRAINT uq_parts_agent_debate UNIQUE (agent)",
    ),
    ("key missing", "missing constraint parts.pk_parts", "parts DROP CONSTRAINT pk_parts"),
    (
        "key on other columns",
        "changed constraint parts.pk_parts",
        "parts DROP CONSTRAINT pk_parts, ADD CONSTRAINT pk_parts PRIMARY KEY (agent, debate, round)",
    ),
    ("reference missing", f"missing constraint matches.{WINNER}", f"matches DROP CONSTRAINT {WINNER}"),
    (
        "reference extra",
        "unexpected constraint parts.fk",
        "parts ADD CONSTRAINT fk FOREIGN KEY (agent) REFERENCES agents (name)",
    ),
    (
        "reference cascades",
        f"changed constraint matches.{WINNER}",
        f"{WINNER_AGAIN} ON DELETE CASCADE",
    ),
    (
        "reference not valid",
        f"changed constraint matches.{WINNER}",
        f"{WINNER_AGAIN} ON DELETE SET NULL NOT VALID",
    ),
    (
        "reference deferrable",
        f"changed constraint matches.{WINNER}",
        f"matches ALTER CONSTRAINT {WINNER} DEFERRABLE",
    ),
    ("reference disabled", "changed constraint parts.fk_parts_debate_round_matches", "parts DISABLE TRIGGER ALL"),
    ("check missing", "missing constraint agents.ck_agents_elo", "agents DROP CONSTRAINT ck_agents_elo"),
    ("check extra", "unexpected constraint agents.ck", "agents ADD CONSTRAINT ck CHECK (elo > 1)"),
    (
        "check changed",
        "changed constraint agents.ck_agents_team",
        "agents DROP CONSTRAINT ck_agents_team, ADD CONSTRAINT ck_agents_team CHECK (team IN ('red'))",
    ),
    (
        "check not valid",
        "changed constraint agents.ck_agents_elo",
        f"agents DROP CONSTRAINT ck_agents_elo, ADD CONSTRAINT ck_agents_elo CHECK ({ELO}) NOT VALID",
    ),
)
def test_an_altered_table_of_postgresql_is_told(postgres: sa.Connection, mutation: Mutation) -> None:
    """A database in this state would pass `aragora-db check`."""
    postgres.exec_driver_sql(f"ALTER TABLE {mutation.statement}")
    mutation.check(compare(postgres, models()))


@each(
    ("operator class", f"changed index agents.{LOWER}", f"{LOWER} ON agents (lower(name) text_pattern_ops)"),
    ("nulls last", f"changed index agents.{BOARD}", f"{BOARD} ON agents (elo DESC NULLS LAST, name)"),
    ("included column", f"changed index agents.{ACTIVE}", f"{ACTIVE} ON agents (name) INCLUDE (elo) WHERE active"),
    ("other method", f"changed index agents.{ACTIVE}", f"{ACTIVE} ON agents USING hash (name) WHERE active"),
)
def test_another_index_of_postgresql_is_told(postgres: sa.Connection, mutation: Mutation) -> None:
    """The queries that the index is for would scan the table."""
    name, _, _ = mutation.statement.partition(" ")
    postgres.exec_driver_sql(f"DROP INDEX {name}")
    postgres.exec_driver_sql(f"CREATE INDEX {mutation.statement}")
    mutation.check(compare(postgres, models()))


def test_equal_nulls_lost_is_told(postgres: sa.Connection) -> None:
    """Two rows without a value would both be let in."""
    postgres.exec_driver_sql(f"DROP INDEX {TEAM}")
    postgres.exec_driver_sql(f"CREATE UNIQUE INDEX {TEAM} ON agents (team)")
    (difference,) = compare(postgres, models())
    assert (difference.change, difference.name) == ("changed", TEAM)


def test_a_null_that_was_never_looked_for_is_told(postgres: sa.Connection, postgres_server: PostgresServer) -> None:
    """PostgreSQL 18 lets NOT NULL be added without looking at the rows, and calls the column not null all the same."""
    if postgres_server.version < 180000:
        pytest.skip("no PostgreSQL 18 here: older ones know no NOT NULL NOT VALID")
    postgres.exec_driver_sql("ALTER TABLE agents ALTER elo DROP NOT NULL, ADD CONSTRAINT nn NOT NULL elo NOT VALID")
    (difference,) = compare(postgres, models())
    assert (difference.name, difference.found) == ("elo", f"{difference.expected} NOT VALID")


def test_an_invalid_index_is_told(postgres: sa.Connection) -> None:
    """What a failed CREATE INDEX CONCURRENTLY leaves behind serves no query."""
    postgres.exec_driver_sql(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{BOARD}'::regclass")
    (difference,) = compare(postgres, models())
    assert (difference.kind, difference.name, difference.change) == ("index", BOARD, "changed")
    assert difference.found == f"{difference.expected} INVALID"


@each(
    ("strict lost", "changed table agents.agents", ")\n STRICT => )"),
    ("rowid", "changed table parts.parts", "WITHOUT ROWID, => "),
    ("autoincrement lost", "missing identity matches.id", "AUTOINCREMENT => "),
    (
        "autoincrement lost with a named key",
        "missing identity matches.id",
        "PRIMARY KEY AUTOINCREMENT => CONSTRAINT pk_matches PRIMARY KEY",
    ),
    ("type", "changed column agents.elo", "elo REAL => elo INT"),
    ("null allowed", "changed column agents.elo", "(1500.0) NOT NULL => (1500.0)"),
    ("null refused", "changed column agents.photo", "photo BLOB => photo BLOB NOT NULL"),
    ("default lost", "changed column agents.elo", "DEFAULT (1500.0) => "),
    ("default changed", "changed column agents.elo", "1500.0 => 1500.5"),
    ("default added", "changed column agents.photo", "photo BLOB => photo BLOB DEFAULT x'00'"),
    ("default in capitals", "changed column agents.note", f"{NOTE} => {NOTE.upper()}"),
    ("default true", "changed column agents.active", "active INTEGER DEFAULT 0 => active INTEGER DEFAULT 1"),
    ("other clock", "changed column agents.created_at", "%f000+00:00 => %f"),
    ("collation", "changed column agents.team", "team TEXT => team TEXT COLLATE NOCASE"),
    ("not generated", "changed column parts.next round", "GENERATED ALWAYS AS (round + 1) STORED => "),
    ("generated when read", "changed column parts.next round", "(round + 1) STORED => (round + 1)"),
    (
        "unique missing",
        "missing constraint parts.uq_parts_agent_debate",
        "CONSTRAINT uq_parts_agent_debate UNIQUE (agent, debate), => ",
    ),
    ("unique on other columns", "changed constraint parts.uq_parts_agent_debate", "(agent, debate) => (agent)"),
    (
        "unique extra",
        "unexpected constraint parts.uq",
        "agent TEXT NOT NULL => agent TEXT NOT NULL CONSTRAINT uq UNIQUE",
    ),
    (
        "unnamed unique",
        "unexpected constraint parts.unique (agent)",
        "agent TEXT NOT NULL => agent TEXT NOT NULL UNIQUE",
    ),
    (
        "key on other columns",
        "changed constraint parts.primary key",
        "(debate, round, agent) => (agent, debate, round)",
    ),
    ("key missing", "missing constraint agents.primary key", "CONSTRAINT pk_agents PRIMARY KEY (name), => "),
    (
        "reference missing",
        f"missing constraint matches.{WINNER}",
        f"CONSTRAINT {WINNER} FOREIGN KEY(winner) REFERENCES agents (name) ON DELETE SET NULL, => ",
    ),
    ("reference cascades", f"changed constraint matches.{WINNER}", "ON DELETE SET NULL => ON DELETE CASCADE"),
    (
        "reference to nothing",
        f"changed constraint matches.{WINNER}",
        "REFERENCES agents (name) => REFERENCES agent (name)",
    ),
    (
        "reference at once",
        "changed constraint matches.fk_matches_rematch_of_matches",
        "DEFERRABLE INITIALLY DEFERRED => ",
    ),
    (
        "reference extra",
        "unexpected constraint parts.foreign key (agent) references agents (name)",
        "agent TEXT NOT NULL => agent TEXT NOT NULL REFERENCES agents (name)",
    ),
    ("check missing", "missing constraint agents.ck_agents_elo", f"CONSTRAINT ck_agents_elo CHECK ({ELO}), => "),
    ("check changed", "changed constraint agents.ck_agents_team", "('red',  => ('Red', "),
    ("check extra", "unexpected constraint agents.ck", "photo BLOB => photo BLOB CONSTRAINT ck CHECK (photo)"),
    (
        "check twice",
        "changed constraint agents.ck_agents_elo",
        "photo BLOB => photo BLOB CONSTRAINT ck_agents_elo CHECK (1)",
    ),
)
def test_another_table_of_sqlite_is_told(sqlite: sa.Connection, mutation: Mutation) -> None:
    """A database with this table would pass `aragora-db check`."""
    old, new = mutation.statement.split(" => ")
    table = re.split(r"[ .]", mutation.told)[2]
    stored = sqlite.execute(
        sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql <> '' ORDER BY type DESC"),
        {"table": table},
    ).all()
    assert stored[0].sql.count(old) == 1
    sqlite.exec_driver_sql(f"DROP TABLE {table}")
    for kind, sql in stored:
        sqlite.exec_driver_sql(sql.replace(old, new) if kind == "table" else sql)
    mutation.check(compare(sqlite, models()))


def test_a_virtual_table_is_no_table_of_ours(sqlite: sa.Connection) -> None:
    """A search index under the name of a table holds none of its rows."""
    sqlite.exec_driver_sql("DROP TABLE parts")
    sqlite.exec_driver_sql("CREATE VIRTUAL TABLE parts USING fts5(debate)")
    assert [str(found) for found in compare(sqlite, models())] == ["table parts is missing: table strict without rowid"]


# -- what it leaves behind, and what it says --------------------------------------------------------------------------


def test_an_ignored_table_is_passed_over(connection: sa.Connection) -> None:
    """A table that is changed on purpose could not be left out of the check."""
    models().create_all(connection)
    connection.exec_driver_sql("DROP TABLE parts")
    connection.exec_driver_sql(f"DROP INDEX {BOARD}")
    assert [found.table for found in compare(connection, models(), ignore_tables=["parts"])] == ["agents"]


def test_an_empty_database_misses_its_tables_only(connection: sa.Connection) -> None:
    """Hundreds of missing columns would bury the three missing tables."""
    assert [str(found).split(":")[0] for found in compare(connection, models())] == [
        "table agents is missing",
        "table matches is missing",
        "table parts is missing",
    ]


def test_the_report_reads_well(sqlite: sa.Connection) -> None:
    """An operator could not tell what to do; a program could not read it."""
    sqlite.exec_driver_sql(f"DROP INDEX {BOARD}")
    sqlite.exec_driver_sql(f"CREATE INDEX {BOARD} ON agents (elo, name)")
    sqlite.exec_driver_sql("CREATE INDEX ix ON agents (photo)")
    extra, changed = compare(sqlite, models())
    assert str(extra) == "index ix of table agents is not in the models: create index ix on agents (photo)"
    assert str(changed).splitlines() == [
        "index ix_agents_leaderboard of table agents is not as the models have it",
        "  expected: create index ix_agents_leaderboard on agents (elo desc, name)",
        "  found:    create index ix_agents_leaderboard on agents (elo, name)",
    ]
    assert json.loads(json.dumps(extra.as_dict())) == {
        "kind": "index",
        "table": "agents",
        "name": "ix",
        "change": "unexpected",
        "expected": None,
        "found": "create index ix on agents (photo)",
    }


def test_the_connection_is_left_as_it_was(connection: sa.Connection) -> None:
    """A check would commit, roll back or block what its caller is doing."""
    compare(connection, models())
    assert not connection.in_transaction()
    models().create_all(connection)
    compare(connection, models())
    assert connection.in_transaction()
    assert set(sa.inspect(connection).get_table_names()) == {"agents", "matches", "parts"}


def test_nothing_of_the_scratch_stays(postgres: sa.Connection) -> None:
    """The session would go on with temporary tables in front of the real ones."""
    postgres.exec_driver_sql("SET LOCAL search_path = public, pg_catalog")
    postgres.exec_driver_sql("CREATE TEMPORARY TABLE agents AS SELECT 1 AS mine")
    assert compare(postgres, models()) == []
    assert postgres.exec_driver_sql("SHOW search_path").scalar_one() == "public, pg_catalog"
    temporary = "SELECT array_agg(relname::text) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
    assert postgres.exec_driver_sql(temporary).scalar_one() == ["agents"]
    assert postgres.exec_driver_sql("SELECT mine FROM pg_temp.agents").scalar_one() == 1


def test_only_the_current_schema_is_read(postgres: sa.Connection) -> None:
    """Tables of the same name in another schema would hide what is wrong with ours."""
    postgres.exec_driver_sql('CREATE SCHEMA "Team, one"')
    postgres.exec_driver_sql('SET LOCAL search_path = "Team, one", public')
    assert {found.change for found in compare(postgres, models())} == {"missing"}
    models().create_all(postgres, checkfirst=False)
    assert compare(postgres, models()) == []
    postgres.exec_driver_sql("DROP TABLE parts")
    assert [(found.table, found.change) for found in compare(postgres, models())] == [("parts", "missing")]


def test_a_serial_keeps_its_meaning_under_another_name(postgres: sa.Connection) -> None:
    """A table that was renamed would be reported for ever, because its sequence keeps the old name."""
    serial = sa.MetaData()
    sa.Table("logs", serial, sa.Column("id", sa.Integer, primary_key=True))
    postgres.exec_driver_sql("CREATE TABLE old_logs (id serial CONSTRAINT logs_pkey PRIMARY KEY)")
    postgres.exec_driver_sql("ALTER TABLE old_logs RENAME TO logs")
    assert compare(postgres, serial) == []
    postgres.exec_driver_sql("ALTER TABLE logs ALTER id DROP DEFAULT")
    assert [(found.kind, found.change) for found in compare(postgres, serial)] == [("identity", "missing")]


def test_without_the_privilege_the_grant_is_named(postgres: sa.Connection) -> None:
    """An operator would see "permission denied for database" and no way on."""
    database = postgres.engine.url.database
    postgres.exec_driver_sql(f'REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC')
    postgres.exec_driver_sql(f"CREATE ROLE {database}_role")
    postgres.exec_driver_sql(f"SET LOCAL ROLE {database}_role")
    with pytest.raises(MigrationError, match=f'Run: GRANT TEMPORARY ON DATABASE "{database}" TO "{database}_role";'):
        compare(postgres, models())


def test_without_a_schema_the_search_path_is_named(postgres: sa.Connection) -> None:
    """Every table would be reported missing."""
    postgres.exec_driver_sql("SET LOCAL search_path = nowhere")
    with pytest.raises(MigrationError, match="search_path"):
        compare(postgres, models())


def test_a_read_only_connection_is_refused(postgres_engine: sa.Engine) -> None:
    """A replica cannot build the scratch; the error would be a bare SQLSTATE."""
    with (
        postgres_engine.connect().execution_options(postgresql_readonly=True) as replica,
        pytest.raises(MigrationError, match="read-only"),
    ):
        compare(replica, models())


def test_an_autocommitting_connection_is_refused(postgres_engine: sa.Engine) -> None:
    """The scratch tables would be created for good, in the real schema."""
    with postgres_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as careless:
        with pytest.raises(UsageError, match="AUTOCOMMIT"):
            compare(careless, models())
        assert sa.inspect(careless).get_table_names() == []


def test_models_in_a_schema_of_their_own_are_refused(postgres: sa.Connection) -> None:
    """They would be created in the real schema, not in the scratch."""
    other = sa.MetaData()
    sa.Table("logs", other, sa.Column("id", sa.Integer, primary_key=True), schema="public")
    with pytest.raises(UsageError, match=r"public\.logs"):
        compare(postgres, other)


def test_an_unknown_dialect_is_refused() -> None:
    """A KeyError would not say what is supported."""
    connection: Any = SimpleNamespace(dialect=SimpleNamespace(name="oracle"))
    with pytest.raises(UsageError, match='"oracle": use a connection to postgresql or sqlite'):
        compare(connection, models())


def test_a_transaction_pooler_is_fine(postgres_engine: sa.Engine, pgbouncer: PgBouncer) -> None:
    """In production the connection often goes through one, and SET or a temporary table would leak to others."""
    url = pgbouncer.url_for(postgres_engine.url.database or "").replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url, connect_args={"prepare_threshold": None})
    try:
        with engine.connect() as pooled:
            assert [found.change for found in compare(pooled, models())] == ["missing"] * 3
            models().create_all(pooled)
            assert compare(pooled, models()) == []
    finally:
        engine.dispose()
