"""Rows that SQL and orjson format are the same, to the byte, as rows that are translated one by one."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aragora_db import types
from aragora_db.models import Base
from aragora_db.transfer.rows import sql_projection
from aragora_db.transfer.rows.stream import Stream
from aragora_db.transfer.source.files import SourceFile
from aragora_db.transfer.source.opening import open_snapshot
from aragora_db.transfer.source.shapes import shape_of

pytestmark = pytest.mark.slow

TABLES = [
    *(("agent_elo", "matches"), ("agent_elo", "elo_history"), ("continuum", "continuum_memory")),
    *(("debates", "debates"), ("agora_memory", "debates"), ("aragora_insights", "insights")),
    *(("grounded_positions", "positions"), ("token_blacklist", "token_blacklist"), ("traces", "traces")),
]
ZONES = ["UTC", "Europe/Berlin", "America/New_York"]


class Raw(bytes):
    """The bytes of a text."""

    __slots__ = ()


# -- values: plain ones, which go quickly, and ones that only look like them -------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=6)
TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31))  # noqa: DTZ001 -- clock times
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, width=64) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)
PLAIN: dict[type, st.SearchStrategy[Any]] = {
    types.Text: NAMES,
    types.Integer: st.integers(-(2**63), 2**63 - 1),
    types.Double: st.floats(-1e14, 1e14),
    types.Boolean: st.sampled_from([0, 1]),
    types.UtcDateTime: st.one_of(
        TIMES.map(lambda time: time.isoformat()),
        TIMES.map(lambda time: f"{time:%Y-%m-%d %H:%M:%S}"),
        TIMES.map(lambda time: time.isoformat(" ", "microseconds") + "+00:00"),
    ),
    types.Json: st.builds(json.dumps, JSON, ensure_ascii=st.booleans()),
    types.Blob: st.binary(max_size=4),
}
TEXTS = [
    *("", "a\x00b", "\x00", "\x1d", "\x1e", "\x1f", "a\x1fb\x1e", "\\", "\\N", "\\.", "a\tb\nc\rd\x08e\x0cf\x0bg"),
    *("\x7f", "é🙂", "a" * 1024, "a" * 1025, "é" * 512, "é" * 513, "🙂" * 300, "1", "1.0", "NULL"),
]
MOMENTS = [
    *("2026-03-29T02:30:00", "2026-10-25T02:30:00", "2026-10-25T02:59:59.999999", "2026-03-08T02:30:00"),
    *("2026-01-15", "2026-01-15 09:30", "2026-01-15T09:30:00Z", "2026-01-15 09:30:00.123456", "2026-01-15t09:30:00"),
    *("2026-01-15\t09:30:00", "2026-01-15\n09:30:00.123456+00:00", "2026-01-15TT9:30:00"),
    *("2026-01-15T09:30:00.12345", "2026-01-15T09:30:00.123456+02:00", "2026-01-15T09:30:00+00:00"),
    *("2026-02-30 00:00:00", "2026-02-30T00:00:00", "2026-01-15 09:30:00\x00", "2026-01-15 09:30:00\x00junk"),
    *("2026-01-15T09:30:00.123456\x00x", "2026-01-15 24:00:00", "2026-01-15 23:59:60", "2026-01-15 09:30:00+"),
    *("\u0662026-01-15 09:30:00", "2026-01-15 09:30:0\u0660", "1768469400", "now", "", "0001-01-01T00:00:00"),
    *("9999-12-31 23:59:59", "1899-12-31 23:59:59", "2026-01-15 09:30:00.000000+00:00", "1900"),
]
DOCUMENTS = [
    *("", "null", " {}", "{} ", "\ufeff{}", "NaN", '{"a": NaN}', "[Infinity]", '"\\u0000"', '"\\ud800"', "01"),
    *("{'a': 1}", '{"a": 1, "a": 2}', "1e400", "-1e400", "1" * 30, "-0", "-0.0", "1e16", "1e23", "1e-7", "1.0"),
    *('{"b": 1, "aa": 2}', "[" * 250 + "]" * 250, "[" * 3000 + "]" * 3000, f'"{300 * "x"}"', '"\x7f\\/\\u001f"'),
    *("9007199254740993",),
]
NUMBERS = [0, -0.0, 1, 2, -1, 1.0, 1.5, 1e15, -1e15, 1e15 - 0.125, 1e-5, 0.0001, 0.00001234, 5e-324, 1e-150]
NUMBERS += [1e16, 1e300, float("inf"), float("-inf"), 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 10**15, 10**15 - 1]
BYTES = [b"", b"\x00\xff", b"text", b"{}", b"2026-01-15 09:30:00", b'["a"]']
BROKEN = [Raw(b"\xff"), Raw(b"a\xed\xa0\x80"), Raw(b"\xc3"), Raw(b'"\xff"')]
EVERYTHING = [None, *TEXTS, *MOMENTS[:6], *DOCUMENTS[:8], *NUMBERS, *BYTES, *BROKEN]
NEAR = {types.UtcDateTime: MOMENTS, types.Json: DOCUMENTS, types.EnumText: ["FAST", "fast ", "Fast"]}
TAKING_PART = [
    ('["a", "b"]', '{"a": 1, "b": 0.5}', '{"a": 16.0, "b": -16}'),
    *(("[]", "{}", "{}"), (None, None, None), ("", "", ""), ("null", "null", "null"), ("{}", "{}", "{}")),
    *((b'["a"]', b'{"a": 1}', b'{"a": 1}'), (b'["a"]', '{"a": 1}', '{"a": 1}'), ('["a"]', b'{"a": 1}', '{"a": 1}')),
    *(('["a", "a"]', '{"a": 1}', '{"a": 1}'), ('["a"]', "{}", '{"a": 1}'), ('["a"]', '{"a": 1, "b": 2}', '{"a": 1}')),
    *(('"a"', '{"a": 1}', '{"a": 1}'), ("[1]", '{"1": 1}', '{"1": 1}'), ('[["a"]]', '{"a": 1}', '{"a": 1}')),
    *((f'["{name}"]', f'{{"{name}": 1}}', f'{{"{name}": null}}') for name in ("🙂" * 300, "é" * 600, "a" * 1025, "")),
    *((f'["{name}"]', f'{{"{name}": 1}}', f'{{"{name}": 2}}') for name in (r"\u0000", r"\ud800", r"\u001f", r"a\tb\\")),
    *(('["a"]', f'{{"a": {number}}}', '{"a": 0.1}') for number in ("NaN", "1e400", "true", '"1"', "1e15", "1" * 20)),
    *(('["a"]', '{"a": -0.0}', f'{{"a": {number}}}') for number in ("1e-7", "-1e-5", "9007199254740993", "[1]")),
    *(('["a"]', '{"a": 1, "a": 2}', '{"a": 1}'), (' ["a"]', '{"a": 1}', '\ufeff{"a": 1}'), ('["a"', "{}", "{}")),
]


def _plain(column: Any) -> st.SearchStrategy[Any]:
    if isinstance(column.type, types.EnumText):
        return st.sampled_from([member.value for member in column.type.enum_class])
    values = next(values for kind, values in PLAIN.items() if isinstance(column.type, kind))
    return st.none() | values if column.nullable else values


def _near(column: Any) -> list[Any]:
    return [*EVERYTHING, *(value for kind, some in NEAR.items() if isinstance(column.type, kind) for value in some)]


# -- files, and what becomes of them -----------------------------------------------------------------------------------


@pytest.fixture
def make(tmp_path) -> Callable[..., Path]:
    """Writes a file of one table; columns without a type and a collation take every value as it is."""
    path = tmp_path / "one.db"

    def make(table: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> Path:
        path.unlink(missing_ok=True)
        named = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f'PRAGMA journal_mode = OFF; CREATE TABLE "{table}" ({named})')
            for row in rows:
                places = ["CAST(? AS TEXT)" if isinstance(value, Raw) else "?" for value in row.values()]
                listed = ", ".join(f'"{name}"' for name in row)
                statement = f'INSERT INTO "{table}" ({listed}) VALUES ({", ".join(places)})'
                connection.execute(statement, [bytes(each) if isinstance(each, Raw) else each for each in row.values()])
            connection.commit()
        return path

    return make


def _layout(sources, file: str, table: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The types of a table's columns, and the columns of ours that they become."""
    path = sources.folder.with_name(f"{file}.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = OFF; {sources.script(file)}")
        kinds = {row[1]: row[2] for row in connection.execute(f'PRAGMA table_info("{table}")')}
    with open_snapshot(SourceFile(path, file)) as snapshot:
        (shape,) = [shape_of(each) for each in snapshot.tables() if each.name == table]
    path.unlink()
    ours = Base.metadata.tables[shape.target].columns
    return kinds, {theirs: ours[name] for name, theirs in shape.columns.items()}


def _both(path: Path, table: str, zone: str) -> tuple[Any, Any, int]:
    """What the quick way and the other one make of a table, and how many rows went quickly."""
    local = UTC if zone == "UTC" else ZoneInfo(zone)
    with open_snapshot(SourceFile(path, path.name)) as snapshot:
        (source,) = [each for each in snapshot.tables() if each.name == table]
        shape = shape_of(source)
        plan = sql_projection.projection_of(source, shape, local)
        try:
            quick = len(plan.lines(snapshot.select(source, plan.expressions, None))[0][0])
        except UnicodeDecodeError:
            quick = 0
        streams = [Stream(snapshot, source, shape, local, as_values=slow) for slow in (False, True)]
        return (*map(_read, streams), quick)


def _read(stream: Stream) -> dict[str, Any]:
    blocks = list(stream)
    lines = [
        (key, (table, line))
        for block in blocks
        for table, rows in block.rows.items()
        for key, line in zip(rows.keys, rows.lines, strict=True)
    ]
    refused = [(each.row[0], repr(each)) for block in blocks for each in block.refused]
    noted = [(each.row[0], repr(each)) for block in blocks for each in block.noted]
    found = {way: sorted(some) for way, some in (("lines", lines), ("refused", refused), ("noted", noted))}
    digests = {table: (digest.rows, str(digest)) for table, digest in stream.digests.items()}
    return found | {"digests": digests, "read": sum(block.read for block in blocks)}


def _example(columns: dict[str, Any], kinds: dict[str, str]) -> dict[str, Any]:
    """A plain row: every value of the kind that its column wants."""
    values = {types.Text: "naïve\t\\", types.Integer: 7, types.Double: 0.25, types.Boolean: 1, types.Blob: b"\x00\xff"}
    values |= {types.UtcDateTime: "2026-07-15T09:30:00.123400", types.Json: '{"bb": [1.50, "\\u00e9"], "a": null}'}
    row = {}
    for name, column in columns.items():
        member = next(iter(getattr(column.type, "enum_class", "")), None)
        row[name] = member or next(value for kind, value in values.items() if isinstance(column.type, kind))
    return row | (dict(zip(PARTS, TAKING_PART[0], strict=True)) if "participants" in kinds else {})


PARTS = ("participants", "scores", "elo_changes")


def _near_misses(columns: dict[str, Any], kinds: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
    """Plain rows but for one value: as many files, for one row may send its neighbours the slow way."""
    plain = _example(columns, kinds)
    for name, column in columns.items():
        spoiling = [value for value in _near(column) if _spoils(value)]
        yield from ([plain | {name: value} for value in _near(column) if not _spoils(value)] for _ in range(3))
        yield from ([plain | {name: value}] for value in spoiling)
    if "participants" in kinds:
        yield from ([plain | dict(zip(PARTS, texts, strict=True))] for texts in TAKING_PART)
        yield from ([plain | {name: value} for value in EVERYTHING] for name in PARTS)


def _spoils(value: Any) -> bool:
    return isinstance(value, Raw) or (isinstance(value, str) and any(each in value for each in "\x00\x1d\x1e\x1f"))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("file", "table"), TABLES)
def test_plain_rows_go_quickly(sources, make, file, table, zone):
    """A condition that no row meets would cost nothing but the speed, so that nobody would see it."""
    kinds, columns = _layout(sources, file, table)
    quick, slow, count = _both(make(table, kinds, [_example(columns, kinds)] * 3), table, zone)
    assert count == 3
    assert quick == slow


@pytest.mark.slow
@pytest.mark.parametrize(("file", "table"), TABLES)
def test_near_misses(sources, make, file, table):
    """One value that the quick way takes and the rules refuse is a row that comes out wrong, and proven right."""
    kinds, columns = _layout(sources, file, table)
    plain, wrong = _example(columns, kinds), []
    for number, rows in enumerate(_near_misses(columns, kinds)):
        given = (dict.fromkeys(kinds, ""), kinds, dict.fromkeys(kinds, "TEXT COLLATE NOCASE"))[number % 3]
        quick, slow, _ = _both(make(table, given, rows), table, ZONES[number % 2])
        odd = {key for way in ("lines", "refused") for key, _ in {*quick[way]} ^ {*slow[way]}}
        wrong += [{name: value for name, value in rows[key - 1].items() if value is not plain[name]} for key in odd]
        assert odd or quick == slow
    assert not wrong


@pytest.mark.parametrize("zone", [*ZONES, "Australia/Lord_Howe"])
def test_every_hour_of_local_time(make, zone):
    """An hour off, on the days when the clocks change: rows that sort wrongly and are proven right."""
    begin = datetime(2026, 1, 1) - timedelta(microseconds=1)  # noqa: DTZ001 -- a clock time
    times = [begin + timedelta(minutes=30 * number) for number in range(-100, 2 * 24 * 366)]
    written = [(time + timedelta(microseconds=number % 3)).isoformat() for number, time in enumerate(times)]
    rows = [{"id": number, "agent_name": "a", "elo": 1.5, "created_at": each} for number, each in enumerate(written)]
    quick, slow, count = _both(make("elo_history", dict.fromkeys(rows[0], ""), rows), "elo_history", zone)
    assert count == 5_000  # of a chunk, all
    assert quick == slow


MANY = pytest.param(1_000, marks=[pytest.mark.faults, pytest.mark.timeout(900)])


@pytest.mark.slow
@pytest.mark.parametrize("examples", [60, MANY])
@pytest.mark.parametrize("zone", ZONES)
def test_any_rows(sources, make, zone, examples):
    """Whatever stands beside whatever else: the two ways must agree on lines, keys, refusals and checksums."""
    layouts = {(file, table): _layout(sources, file, table) for file, table in TABLES}
    seen: Counter[str] = Counter()

    @given(st.data())
    @settings(max_examples=examples, deadline=None)
    def compare(data: st.DataObject) -> None:
        file, table = data.draw(st.sampled_from(TABLES))
        kinds, columns = layouts[file, table]
        plain = st.fixed_dictionaries({name: _plain(column) for name, column in columns.items()})
        rows = data.draw(st.lists(plain, min_size=1, max_size=4))
        for row in rows:
            if "participants" in kinds:
                names = data.draw(st.lists(NAMES, max_size=3, unique=True))
                some = [dict.fromkeys(names, data.draw(st.none() | PLAIN[types.Double])) for _ in range(2)]
                row |= dict(zip(PARTS, map(json.dumps, [names, *some]), strict=True))
            row["surplus"] = data.draw(st.sampled_from([None, None, None, None, "", 1]))
        for name in data.draw(st.lists(st.sampled_from([*columns, "nothing", "nothing"]), max_size=2)):
            row = data.draw(st.sampled_from(rows))
            row |= {name: data.draw(st.sampled_from(_near(columns[name])))} if name in columns else {}
        given_kinds = data.draw(st.sampled_from([kinds, dict.fromkeys(kinds, "")]))
        quick, slow, count = _both(make(table, given_kinds | {"surplus": ""}, rows), table, zone)
        assert quick == slow
        seen["rows"] += len(rows)
        seen["quick"] += count

    compare()
    assert seen["quick"] > seen["rows"] / 4


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_other_encodings(tmp_path, encoding):
    """SQL that counts bytes counts others there: such files go row by row."""
    path = tmp_path / "wide.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"PRAGMA encoding = '{encoding}'; CREATE TABLE elo_history (id, agent_name, elo, created_at);"
            "INSERT INTO elo_history VALUES (1, 'naïve 🙂', 1.5, '2026-01-15 09:30:00')"
        )
    quick, slow, _ = _both(path, "elo_history", "UTC")
    assert quick == slow
    assert quick["lines"] == [(1, ("elo_history", "1\tnaïve 🙂\t2026-01-15 09:30:00+00\t1.5".encode()))]
