r"""The path by hand: CSV that the generated SELECTs give, loaded by ``\copy``, holds what the file holds."""

from __future__ import annotations

import math
import re
import shutil
import sqlite3
import subprocess
from array import array
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from support import HANG_SECONDS

from aragora_db import Database, types
from aragora_db.errors import UsageError
from aragora_db.models import Base
from aragora_db.transfer import csv_script
from aragora_db.transfer.csv_sql import copy_command, csv_select
from aragora_db.transfer.export import exported_tables
from aragora_db.transfer.rows.translate import copy_order
from aragora_db.transfer.target.proof import read_digest
from aragora_db.types import vector

pytestmark = pytest.mark.slow

TEXTS = [
    *("plain", "", r"\N", "NULL", '"', "'", '""quoted"", "', "a,b", "a\nb", "a\r\nb", "\r", "\t", " ", " both "),
    *(
        "\\",
        r"\x41",
        r"\.",
        "\x01\x1f\x7f",
        "naïve 漢字 🙂",
        "\ufeff",
        "\u202e",
        "{}",
        "%s %% :x",
        "0x10",
        "1e5",
        "a" * 16,
    ),
]
TINY, MIDDLE, HUGE = 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308
DOUBLES = [
    *(
        0.1 + 0.2,
        TINY,
        1e300,
        -1e300,
        HUGE,
        -HUGE,
        MIDDLE,
        math.nextafter(MIDDLE, 0),
        0.0,
        1.0,
        1e15,
        123456789.1234567,
    ),
    *(1e16, 2.0**53 + 2, -1 / 3, math.pi, 1e-5, 1e22, 1e23, -TINY, 9007199254740993.0, 1e-300),
]
SINGLES = [
    *(0.1, -2.5, 0.0, 3.4028234663852886e38, -3.4028234663852886e38, 1.1754943508222875e-38, 1.401298464324817e-45),
    *(-1.401298464324817e-45, 1.1754942106924411e-38, 1.0, 16777216.0, 16777217.0, 1e-10, 1 / 3, 1e10),
]
"""float32 at its edges: the greatest, the smallest normal and denormal ones."""

BLOBS = [b"", b"\x00", bytes(range(256)), b"a\x00b", b'\\x41",\n', b"\xff\xfe"]
DOCUMENTS = [
    {"": {}, "ключ 🙂": [1, -2.5, 1e300, None, True, 'a"b\\c\n,'], "b": TINY},
    *([], {}, [[]], {"a": "\\N"}, ["", 0.1 + 0.2], {"a": ["\u2028\t"], "aa": None}),
]
INTEGERS = [0, 2**63 - 1, -(2**63), -1, 10**15]
INSTANTS = [
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    *(datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
]
VECTORS = [array("f", SINGLES), *(array("f", [number]) for number in SINGLES)]
ROWS = len(TEXTS)
SINGLE = {"active_population": 1}
FIXED = {"surprise_score": 0.0, "words": "quorum 漢字"}
"""PostgreSQL's indexes multiply by the one and take the other apart."""


def _any(values, row):
    return values[row % len(values)]


VALUES = {
    types.Text: TEXTS,
    types.Integer: INTEGERS,
    types.Double: DOUBLES,
    types.Boolean: [True, False],
    types.UtcDateTime: INSTANTS,
    types.Json: DOCUMENTS,
    types.Blob: BLOBS,
    vector.Vector: VECTORS,
}


def _value(column, row):
    """A value that hurts: another one in each row, and NULL in every fourth where there may be none."""
    for key in column.foreign_keys:
        return _value(key.column, row)
    if column.name in FIXED or column.table.name in SINGLE:
        return FIXED.get(column.name, 1)
    numbered = column.identity is not None or (type(column.type) is types.Integer and column.primary_key)
    if numbered or str(column) == "fencing_tokens.token":  # which only rise, from 1
        return row + 1
    if column.nullable and (row + len(column.name)) % 4 == 0:
        return None
    kind = next((each for each in VALUES if isinstance(column.type, each)), None)
    value = _any(VALUES[kind] if kind else list(column.type.enum_class), row)
    if column.name in {"agent_a", "agent_b"}:  # the first of the two names comes first
        return column.name + value
    return [value] if "[]" in str(column.server_default and column.server_default.arg) else value


@pytest.fixture
def hurt(fresh_databases):
    """A SQLite database with rows that hurt in every table."""
    with closing(Database(fresh_databases.url("sqlite"))) as database:
        with database.engine.begin() as connection:
            for table in exported_tables():
                rows = range(SINGLE.get(table.name, ROWS))
                made = [{column.name: _value(column, row) for column in table.columns} for row in rows]
                connection.execute(sa.insert(table), made)
        yield database


@pytest.fixture
def loaded(fresh_databases):
    """A PostgreSQL at head with nothing in it."""
    with closing(Database(fresh_databases.url("postgresql"))) as database:
        yield database


def _file(database):
    return Path(sa.make_url(database.settings.database_url.get_secret_value()).database)


def _url(database):
    return database.settings.database_url.get_secret_value()


def _digests(database):
    with database.engine.connect() as connection:
        found = {
            table.name: read_digest(connection, sa.select(*copy_order(table.columns))) for table in exported_tables()
        }
        return {name: (digest.rows, str(digest)) for name, digest in found.items()}


def _cell(value):
    """A value as the shell writes it: NULL is nothing, an empty text is not."""
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _csv(file, select):
    """What ``sqlite3 -csv -header`` prints."""
    with closing(sqlite3.connect(file)) as connection:
        cursor = connection.execute(select)
        lines = [[each[0] for each in cursor.description], *([_cell(value) for value in row] for row in cursor)]
    return "".join(",".join(line) + "\r\n" for line in lines).encode()


def _load(database, table, csv):
    r"""What ``psql -c '\copy ...'`` does."""
    statement = re.sub(r"^\\copy (.*) FROM '.*' CSV HEADER$", r"COPY \1 FROM STDIN CSV HEADER", copy_command(table))
    with psycopg.connect(_url(database)) as connection, connection.cursor().copy(statement) as copy:
        copy.write(csv)


def test_every_table(hurt, loaded):
    """Whoever moves by hand finds out about a lost digit, an empty text or half an embedding years later, or never."""
    before = _digests(hurt)
    assert {name for name, (rows, _) in before.items() if rows != SINGLE.get(name, ROWS)} == set()
    for table in exported_tables():
        _load(loaded, table, _csv(_file(hurt), csv_select(table)))
    assert _digests(loaded) == before


def _commands(script):
    """The psql commands that stand in the script's comments, in its order."""
    return re.findall(r'^-- psql "\$DATABASE_URL" -c "(.*)"$', script, re.MULTILINE)


def test_as_the_guide_says(hurt, loaded, tmp_path):
    """The script as it is printed, through the programs that an operator has, where they are."""
    script = "\n".join(csv_script())
    shell, psql = shutil.which("sqlite3"), shutil.which("psql")
    if shell:
        subprocess.run([shell, str(_file(hurt))], input=script.encode(), cwd=tmp_path, check=True, timeout=HANG_SECONDS)
    for table in exported_tables():
        if not shell:
            (tmp_path / f"{table.name}.csv").write_bytes(_csv(_file(hurt), csv_select(table)))
        if not psql:
            _load(loaded, table, (tmp_path / f"{table.name}.csv").read_bytes())
    commands = [each for each in _commands(script) if psql or not each.startswith(r"\copy")]
    if psql:
        arguments = [argument for command in commands for argument in ("-c", command)]
        done = [psql, "-qX", "-v", "ON_ERROR_STOP=1", *arguments, _url(loaded)]
        subprocess.run(done, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL, timeout=HANG_SECONDS)
    else:
        with psycopg.connect(_url(loaded)) as connection:
            for command in commands:
                connection.execute(command)
    assert _digests(loaded) == _digests(hurt)
    with loaded.engine.begin() as connection:  # new rows get fresh numbers
        history = Base.metadata.tables["elo_history"]
        row = sa.insert(history).values(agent_name="new", elo=1500.0).returning(history.c.id)
        assert connection.scalar(row) == ROWS + 1


def test_plain_select(hurt, loaded):
    """The guide's own `SELECT *` of the ratings: what the shell's 15 digits keep, and no row less."""
    ratings = Base.metadata.tables["elo_ratings"]
    with hurt.engine.begin() as connection:
        # 15 digits of the greatest double, or of the smallest, are none
        edge = ~sa.func.abs(ratings.c.elo).between(1e-300, 1e307)
        connection.execute(sa.update(ratings).where(edge).values(elo=1500.1 + 0.2, calibration_brier_sum=1 / 3))
    _load(loaded, ratings, _csv(_file(hurt), "SELECT * FROM elo_ratings"))

    def rows(database):
        with database.engine.connect() as connection:
            found = connection.execute(sa.select(ratings).order_by(ratings.c.agent_name)).all()
        return [[f"{each:.15g}" if isinstance(each, float) else each for each in row] for row in found]

    assert rows(loaded) == rows(hurt)


def test_some_tables():
    """Asked for two tables, it must not write sixty files; parents come first."""
    script = list(csv_script(["dissent", "consensus"]))
    assert [line for line in script if line.startswith(".once")] == [".once consensus.csv", ".once dissent.csv"]
    assert len(_commands("\n".join(script))) == 2


def test_unknown_table():
    """A name with a slip of the pen, skipped silently, is a table that nobody moved."""
    with pytest.raises(UsageError, match=r"there is no table elo_rating, x; there are: .*elo_ratings"):
        list(csv_script(["elo_rating", "elo_ratings", "x"]))


def test_the_history_of_the_schema_stays():
    """The new database has its own; the old one's would make it look edited."""
    assert "schema_history" not in "\n".join(csv_script())
