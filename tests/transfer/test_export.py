"""A database written back into one SQLite file: equal to the last bit, in one snapshot, and ready to be worked with."""

from __future__ import annotations

from array import array
from contextlib import closing
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database, types
from aragora_db.engine import Target
from aragora_db.errors import TransferError, UsageError
from aragora_db.migrations.status import status
from aragora_db.models import Base, ContinuumMemory, Debate, EloHeadToHead, EloHistory, EloMatchParticipant, Insight
from aragora_db.search import index
from aragora_db.stores import ContinuumStore, DebateStore, InsightStore
from aragora_db.transfer import Options, export_file, import_folder
from aragora_db.transfer.export import exported_tables
from aragora_db.transfer.options import NoProgress
from aragora_db.transfer.rows.translate import copy_order
from aragora_db.transfer.target.proof import read_digest
from aragora_db.types import vector

pytestmark = pytest.mark.slow

OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}
FOLLOWERS = {table.name for table in index.followers().values()}
DOCUMENT = {"ключ": [1, -2.5, 1e300, None, True, "é\\N\n"], "": {}}
VALUES = {
    types.Integer: 2**63 - 1,
    types.Double: 0.1 + 0.2,
    types.Boolean: True,
    types.UtcDateTime: datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
    types.Blob: bytes(range(256)),
    vector.Vector: array("f", [0.1, -2.5, 3e38, 1e-45, 0.0]),
}


@pytest.fixture
def of(fresh_databases):
    """Makes databases at head: ``of("sqlite")``."""
    made = []

    def database(dialect):
        made.append(Database(fresh_databases.url(dialect)))
        return made[-1]

    yield database
    for each in made:
        each.close()


@pytest.fixture
def full(dialect, of):
    """A database of each dialect with a full row in every table."""
    database = of(dialect)
    with database.session() as session:
        _fill(session)
    return database


def _value(column):
    """A value by type; a foreign key's is that of its parent."""
    for key in column.foreign_keys:
        return _value(key.column)
    kind = column.type
    if column.identity is not None or column.table.name == "active_population":
        return 1
    if isinstance(kind, types.EnumText):
        return list(kind.enum_class)[-1]
    if isinstance(kind, types.Text):
        return f"{column.name} ü🙂\t\\"[:16]
    if isinstance(kind, types.Json):
        return [DOCUMENT] if "[]" in str(column.server_default and column.server_default.arg) else DOCUMENT
    return VALUES[type(kind)]


def _fill(session: Session) -> None:
    models = {mapper.local_table.name: mapper for mapper in Base.registry.mappers}
    for table in exported_tables():
        if table.name in {*FOLLOWERS, "elo_head_to_head"}:
            continue  # they follow from other rows
        mapper = models[table.name]
        session.add(mapper.class_(**{each.key: _value(each.columns[0]) for each in mapper.column_attrs}))
        session.flush()
    session.add(EloMatchParticipant(match_id=1, agent_name="zeta", position=1))
    names = {"agent_a": _value(EloMatchParticipant.__table__.c.agent_name), "agent_b": "zeta"}
    session.add(EloHeadToHead(**names, matches=1, a_wins=0, b_wins=0, draws=0))


def _digests(database):
    with database.engine.connect() as connection:
        found = {
            table.name: read_digest(connection, sa.select(*copy_order(table.columns))) for table in exported_tables()
        }
        return {name: (digest.rows, str(digest)) for name, digest in found.items()}


def _opened(path):
    return closing(Database(f"sqlite:///{path}"))


def test_there_and_back(dialect, full, of, tmp_path):
    """SQLite to PostgreSQL to SQLite, or the other way round: a backup that lost a digit on the way is none."""
    (tmp_path / "one").mkdir()
    exported = export_file(full, tmp_path / "one" / "all.db")
    assert min(each.rows for each in exported.tables) == 1  # not a table was left out
    other = of(OTHER[dialect])
    report = import_folder(other, Options(tmp_path / "one", timezone="UTC", output_dir=tmp_path))
    assert report.good
    again = export_file(other, tmp_path / "two.db")
    with _opened(exported.file) as first, _opened(again.file) as second:
        digests = [_digests(database) for database in (full, first, other, second)]
    assert digests[0] == digests[1]
    assert digests[2] == digests[3]
    for each in digests:
        del each["import_ledger"]  # the import wrote its own
    assert digests[0] == digests[2]
    assert {
        each.table: (each.rows, each.checksum) for each in again.tables if each.table != "import_ledger"
    } == digests[0]


def test_it_is_a_database(full, tmp_path):
    """An export is worked with at once: it is at head, and all of its keys and full-text indexes are in force."""
    export_file(full, tmp_path / "all.db")
    with _opened(tmp_path / "all.db") as copy:
        assert status(Target.of(copy.settings)).good
        with copy.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_numbers_go_on(dialect, of, tmp_path):
    """A number given out twice makes two rows one, for whoever wrote the first one down."""
    database = of(dialect)
    with database.session() as session:
        session.add_all(EloHistory(agent_name=f"a{place}", elo=1500.0) for place in range(5))
    with database.session() as session:
        session.execute(sa.delete(EloHistory).where(EloHistory.id > 3))
    export_file(database, tmp_path / "all.db")

    def following(one):
        with one.session() as session:
            row = EloHistory(agent_name="next", elo=1500.0)
            session.add(row)
            session.flush()
            return row.id

    with _opened(tmp_path / "all.db") as copy:
        assert (following(copy), following(database)) == (6, 6)


def test_numbers_of_an_empty_table_go_on(dialect, of, tmp_path):
    """The rows are gone, their numbers stand in somebody's notes."""
    database = of(dialect)
    for change in (sa.insert(EloHistory).values(agent_name="a", elo=1500.0), sa.delete(EloHistory)):
        with database.session() as session:
            session.execute(change)
    export_file(database, tmp_path / "all.db")
    with _opened(tmp_path / "all.db") as copy, copy.session() as session:
        row = sa.insert(EloHistory).values(agent_name="next", elo=1500.0).returning(EloHistory.id)
        assert session.scalar(row) == 2


def test_words_are_found(dialect, of, tmp_path):
    """An export without its search words looks whole until somebody searches."""
    database = of(dialect)
    with database.session() as session:
        session.add_all(
            [
                Debate(id="d", slug="s", task="Straße zum Quorum", agents=[], artifact_json={}),
                ContinuumMemory(id="m", content="Tokens sind knapp"),
                Insight(id="i", type="pattern", title="Cache first", debate_id="d"),
            ]
        )
    export_file(database, tmp_path / "all.db")
    with _opened(tmp_path / "all.db") as copy, copy.session(read_only=True) as session:
        assert [each.id for each in DebateStore(session).search("STRASSE quor*").items] == ["d"]
        assert [each.memory.id for each in ContinuumStore(session).retrieve(keywords=["tokens"])] == ["m"]
        assert [each.id for each in InsightStore(session).search("cache").items] == ["i"]


class _Writer(NoProgress):
    """Somebody who writes while tables are copied."""

    def __init__(self, database):
        self._database = database
        self.written = 0

    def start(self, name, rows):
        """A table begins: there is one more row in the last of them."""
        with self._database.session() as session:
            session.add(EloHistory(id=100 + self.written, agent_name=f"late, {name}, {rows}", elo=1500.0))
        self.written += 1


def test_one_snapshot(full, tmp_path):
    """Tables of different moments do not belong together: a debate without its votes, a match without its players."""
    before = _digests(full)
    writer = _Writer(full)
    export_file(full, tmp_path / "all.db", writer)
    assert writer.written == len(exported_tables())
    with _opened(tmp_path / "all.db") as copy:
        assert _digests(copy) == before


class _Failure(NoProgress):
    """A disk that is full from one table on."""

    def __init__(self, table):
        self._table = table

    def start(self, name, rows):
        """The table begins."""
        if name == self._table and rows:
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("table", ["debates", exported_tables()[-1].name])
def test_nothing_half_done(table, full, tmp_path):
    """Half a backup under the name of a whole one is worse than none."""
    (tmp_path / "out").mkdir()
    with pytest.raises(TransferError, match=r"all\.db cannot be written: No space left on device"):
        export_file(full, tmp_path / "out" / "all.db", _Failure(table))
    assert list((tmp_path / "out").iterdir()) == []
    export_file(full, tmp_path / "out" / "all.db")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["all.db"]


def test_an_existing_file_stays(full, tmp_path):
    """Last week's backup is overwritten by nobody."""
    path = tmp_path / "all.db"
    path.write_bytes(b"last week's")
    with pytest.raises(UsageError, match=r"all\.db exists already; an export writes a new file"):
        export_file(full, path)
    assert path.read_bytes() == b"last week's"


def test_no_folder(full, tmp_path):
    """A path with a slip of the pen is said before an hour of copying, not after it."""
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere to write all\.db in"):
        export_file(full, tmp_path / "nowhere" / "all.db")
    assert not (tmp_path / "nowhere").exists()


def test_left_over_by_a_kill(full, tmp_path):
    """What an export that was killed left behind does not keep the next one."""
    (tmp_path / "all.db.0a1b2c3d.part").write_bytes(b"half")
    (tmp_path / "all.db.0a1b2c3d.part-wal").write_bytes(b"half")
    export_file(full, tmp_path / "all.db")
    assert [path.name for path in tmp_path.glob("all.db*")] == ["all.db"]
    with _opened(tmp_path / "all.db") as copy:
        assert _digests(copy) == _digests(full)
