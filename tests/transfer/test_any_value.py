"""Files with any SQLite value in any column: every row is accounted for, and means the same where it went."""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aragora_db import types
from aragora_db.models import Base, LegacyRow
from aragora_db.transfer.source.files import SourceFile
from aragora_db.transfer.source.opening import open_snapshot
from aragora_db.transfer.source.shapes import shape_of
from aragora_db.transfer.target.parking import from_json
from aragora_db.types.vector import Vector

pytestmark = pytest.mark.slow

ZONE = "Europe/Berlin"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OWN_RULES = {"consensus", "consensus_archive", "dissent", "dissent_archive", "genesis_events"}
OWN_RULES |= {"elo_calibration_predictions"}
"""Tables whose columns take each other's values."""


class Raw(bytes):
    """The bytes of a text that is not UTF-8."""

    __slots__ = ()


KEYS = st.sampled_from(["a", "b", "c"]) | st.text(max_size=4)
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 -- clock times
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
LIKELY: dict[type, st.SearchStrategy[Any]] = {
    types.Text: KEYS,
    types.Integer: st.integers(0, 4) | st.integers(-(2**62), 2**62 - 1),
    types.Double: st.floats(allow_nan=False) | st.integers(-(2**54), 2**54),
    types.Boolean: st.sampled_from([0, 1, 1.0]),
    types.UtcDateTime: st.one_of(
        TIMES.map(datetime.isoformat),
        TIMES.map(lambda time: f"{time:%Y-%m-%d %H:%M:%S}"),
        TIMES.map(lambda time: f"{time.isoformat()}+05:30"),
        st.floats(0, 4e9),
    ),
    types.Json: JSON.map(json.dumps) | st.sampled_from(["", "null", '{"a": 1, "a": 2}']),
    types.Blob: st.binary(max_size=4),
    Vector: st.lists(st.floats(width=32), max_size=3).map(lambda each: struct.pack(f"<{len(each)}f", *each)),
}
ANY = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**62 - 1),  # the highest numbers of all are given again, where SQLite needs room for more
    st.floats(allow_nan=False),  # SQLite reads NaN as NULL
    st.text(max_size=5) | KEYS.map(lambda key: key * 400),
    st.binary(max_size=5),
    st.sampled_from([Raw(b"\xff"), Raw(b"a\xed\xa0\x80z"), Raw(b"\xc3\x00")]),
)


TAKEN_APART = {
    "participants": st.sampled_from(['["a", "b"]', '["b"]', "[]", None]),
    "scores": st.sampled_from(['{"b": 1}', '{"b": null}', "{}", None]),
    "elo_changes": st.sampled_from(['{"b": -16.5}', "{}", ""]),
    "domain_elos": st.sampled_from(['{"x": 1490, "": 1e3}', "{}", None]),
}


def _likely(column: Any) -> st.SearchStrategy[Any]:
    if isinstance(column.type, types.EnumText):
        return st.sampled_from([member.value for member in column.type.enum_class])
    values = next(values for kind, values in LIKELY.items() if isinstance(column.type, kind))
    return st.none() | values if column.nullable else values


# -- what a table is, and what stands in a file, without the code under test -------------------------------------------


def _layouts(sources: Any, scripts: list[str], path: Path) -> dict[str, tuple[dict[str, str], str, dict[str, Any]]]:
    """Each table of Aragora's files: its columns with their types, our table, and our columns by theirs."""
    found = {}
    for script in scripts:
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"PRAGMA journal_mode = OFF; {sources.script(script)}")
        with open_snapshot(SourceFile(path, script)) as snapshot, closing(sqlite3.connect(path)) as connection:
            for table in snapshot.tables():
                kinds = {row[1]: row[2] for row in connection.execute(f'PRAGMA table_info("{table.name}")')}
                shape = shape_of(table)
                if shape is not None:
                    ours = Base.metadata.tables[shape.target].columns
                    columns = {theirs: ours[name] for name, theirs in shape.columns.items()}
                    found[f"{script}.{table.name}"] = kinds, shape.target, columns
    path.unlink()
    return found


def _write(path: Path, table: str, kinds: dict[str, str], rows: list[dict[str, Any]]) -> None:
    named = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute(f'CREATE TABLE "{table}" ({named})')
        for row in rows:
            places = ", ".join("CAST(? AS TEXT)" if isinstance(row[name], Raw) else "?" for name in kinds)
            values = [bytes(row[name]) if isinstance(row[name], Raw) else row[name] for name in kinds]
            connection.execute(f'INSERT INTO "{table}" VALUES ({places})', values)
        connection.commit()


def _decoded(text: bytes) -> str | Raw:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return Raw(text)


def _stored(path: Path, table: str) -> dict[int, dict[str, Any]]:
    """The rows by their numbers, after the columns' affinities."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = _decoded
        cursor = connection.execute(f'SELECT rowid, * FROM "{table}" ORDER BY rowid')
        names = [str(each[0]) for each in cursor.description]
        return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in cursor}


def _original(value: Any) -> list[str | None]:
    """A value in the rejects file: its storage class, and its bytes."""
    kinds = {type(None): "null", int: "integer", float: "real", str: "text", Raw: "text", bytes: "blob"}
    raw = value if isinstance(value, bytes) else (value if isinstance(value, str) else repr(value)).encode()
    return [kinds[type(value)], None if value is None else base64.b64encode(raw).decode()]


def _meaning(value: Any, column: Any) -> Any:  # noqa: PLR0911 -- one for each kind
    """What a value that was carried stands for."""
    document = json.loads(value) if isinstance(column.type, types.Json) and value else None
    if value is None or (isinstance(column.type, types.Json) and document is None):
        default = None if column.default is None else column.default.arg
        return None if column.nullable else default(None) if callable(default) else default
    if isinstance(column.type, types.Json):
        return document
    if isinstance(column.type, types.UtcDateTime):
        if not isinstance(value, str) or value.replace(".", "").isdigit():
            return EPOCH + timedelta(seconds=float(value))
        read = datetime.fromisoformat(value)
        zone = ZoneInfo(ZONE) if "T" in value else UTC
        return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    if isinstance(column.type, Vector):
        return list(struct.unpack(f"<{len(value) // 4}f", value))
    if isinstance(column.type, types.Boolean):
        return value == 1
    return value


def _taken_apart(target: str, row: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of the table of parts that a row stands for."""
    read = {name: json.loads(row[name] or "null") or {} for name in TAKEN_APART if name in row}
    if target == "elo_ratings":
        return [(row["agent_name"], domain, elo) for domain, elo in read["domain_elos"].items()]
    numbers = [read["scores"], read["elo_changes"]]
    return [
        (row["id"], name, at, *(each.get(name) for each in numbers)) for at, name in enumerate(read["participants"])
    ]


PARTS = {
    "elo_ratings": ("elo_domain_ratings", ["agent_name", "domain", "elo"]),
    "elo_matches": ("elo_match_participants", ["match_id", "agent_name", "position", "score", "elo_change"]),
}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _empty(session: Any) -> None:
    """Delete all rows, of the tables that have some."""
    tables = [table for table in reversed(Base.metadata.sorted_tables) if table.name != "schema_history"]
    asked = [f"SELECT '{table.name}' WHERE EXISTS (SELECT 1 FROM {table.name})" for table in tables]
    filled = set(session.scalars(sa.text(" UNION ALL ".join(asked))))
    for table in tables:
        if table.name in filled:
            session.execute(sa.delete(table))


# -- the test ----------------------------------------------------------------------------------------------------------

SCRIPTS = ["agent_elo", "agent_personas", "continuum", "agora_memory", "debates", "aragora_insights", "traces"]
SCRIPTS += ["consensus_memory", "grounded_positions", "debate_embeddings", "genesis", "tournaments", "persona_lab"]


# A few files of several rows each: an import of six rows takes as long as one of a single row.
LONG = pytest.param(150, marks=[pytest.mark.faults, pytest.mark.timeout(1_800)])


@pytest.mark.slow
@pytest.mark.parametrize("examples", [10, LONG])
def test_any_value(importer, sources, examples):
    """The promise of the whole import: nothing is lost, whatever a year of Aragora left in its files."""
    layouts = _layouts(sources, SCRIPTS, sources.folder / "layout.db")
    seen: Counter[str] = Counter()

    @given(st.data())
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def check(data: st.DataObject) -> None:
        importer.database.transact(_empty)
        for path in [*sources.folder.iterdir(), *importer.output.iterdir()]:
            path.unlink()
        chosen = data.draw(st.lists(st.sampled_from(sorted(layouts)), min_size=2, max_size=4, unique=True))
        # Its rows seldom have a parent: something is parked in most examples, whatever else is drawn.
        for name in dict.fromkeys([*chosen, "continuum.tier_transitions"]):
            kinds, _, columns = layouts[name]
            likely = {each: _likely(columns[each]) if each in columns else TAKEN_APART[each] for each in kinds}
            rows = data.draw(st.lists(st.fixed_dictionaries(likely), min_size=2, max_size=6))
            for column in data.draw(st.lists(st.sampled_from(sorted(kinds)), max_size=6)):
                data.draw(st.sampled_from(rows))[column] = data.draw(ANY)
            untyped = data.draw(st.booleans())
            _write(
                sources.folder / f"{name}.db", name.split(".")[1], dict.fromkeys(kinds, "") if untyped else kinds, rows
            )
        report = importer(timezone=ZONE)
        assert report.foreign_keys
        assert not report.left
        texts = [path.read_text(encoding="utf-8") for path in importer.output.glob("*.jsonl")]
        lines = [json.loads(line) for text in texts for line in text.rstrip("\n").split("\n")]
        times = Counter(table.target for table in report.tables)
        for table in report.tables:
            _compare(importer, table, layouts[table.source_file.removesuffix(".db")], sources.folder, lines, times)
            seen.update(carried=table.carried, rejected=table.rejected, parked=table.parked)

    check()
    assert min(seen["carried"], seen["rejected"], seen["parked"]) > 5, seen


def _compare(importer: Any, report: Any, layout: Any, folder: Path, lines: list[Any], times: Counter[str]) -> None:
    _, target, columns = layout
    serial = next((each.name for each in Base.metadata.tables[target].columns if each.identity is not None), None)
    if times[target] > 1:  # a row of another file may have had its number, or have been the same row under another
        columns = {name: column for name, column in columns.items() if column.name != serial}
    assert report.failed is None
    assert report.rows == report.carried + report.merged + report.rejected + report.parked
    rows = _stored(folder / report.source_file, report.table)
    assert report.rows == len(rows)
    rejected = {
        line["rowid"]: line for line in lines if (line["file"], line["table"]) == (report.source_file, report.table)
    }
    assert report.rejected == len(rejected)
    for number, line in rejected.items():
        assert line["row"] == {name: _original(value) for name, value in rows[number].items()}
        assert line["base64"] == (line["column"] and _original(rows[number][line["column"]])[1])
    with importer.database.session(read_only=True) as session:
        waiting = session.scalars(sa.select(LegacyRow).where(LegacyRow.source_file == report.source_file)).all()
        parked = {int(row.row_key.removeprefix("row ")): row.row for row in waiting}
        there = [row._asdict() for row in session.execute(sa.select(Base.metadata.tables[target]))]
    assert report.parked == len(parked)
    for number, row in parked.items():
        assert {name: from_json(value) for name, value in row.items()} == rows[number]
    carried = [row for number, row in rows.items() if number not in rejected and number not in parked]
    assert len(carried) == report.carried + report.merged
    if target in OWN_RULES:
        return
    means = [{c.name: _meaning(row[name], c) for name, c in columns.items()} for row in carried]
    found = [{c.name: _plain(row[c.name]) for c in columns.values()} for row in there]
    assert [each for each in means if each not in found] == []
    if target in PARTS:
        part, names = PARTS[target]
        assert {*importer.rows(part, *names)} == {each for row in carried for each in _taken_apart(target, row)}
