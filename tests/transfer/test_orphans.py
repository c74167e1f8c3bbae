"""Rows without their parent. Aragora's files have them, and a database with foreign keys has no place for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db.models import ImportedTable

pytestmark = pytest.mark.slow

CONSENSUS = (
    "CREATE TABLE consensus (id TEXT PRIMARY KEY, topic TEXT, topic_hash TEXT, conclusion TEXT, strength TEXT, data);"
)
DISSENT = (
    "CREATE TABLE dissent (id TEXT PRIMARY KEY, debate_id TEXT, agent_id TEXT, dissent_type TEXT, content TEXT,"
    " timestamp TEXT, data TEXT);"
)
EVENTS = (
    "CREATE TABLE genesis_events (event_id TEXT PRIMARY KEY, event_type TEXT, timestamp TEXT, parent_event_id TEXT,"
    " content_hash TEXT, data TEXT);"
)
NO_CONSENSUS = "orphan: the row that it belongs to is not there (debate_id -> consensus)"
NO_EVENT = "orphan: the row that it belongs to is not there (parent_event_id -> genesis_events)"


def agreed(name: str) -> tuple[str, ...]:
    """A consensus."""
    return name, "topic", "h", "yes", "weak", "{}"


def objection(name: str, debate: str, at: str = "2026-01-15T12:00:00") -> tuple[str, ...]:
    """A dissent from a consensus."""
    return name, debate, "kimi", "abstention", "no", at, '{"n": 1.5}'


def event(name: str, parent: str | None) -> tuple[str | None, ...]:
    """An entry of the ledger of genesis."""
    return name, "fitness_update", "2026-01-15T12:00:00", parent, "ab", "{}"


def ledger(importer: Any, table: str) -> list[tuple[int, int, int]]:
    """What the ledger says of a table, import by import: rows, carried, parked."""
    columns = (ImportedTable.rows, ImportedTable.carried, ImportedTable.parked)
    chosen = sa.select(*columns).where(ImportedTable.table_name == table).order_by(ImportedTable.id)
    with importer.database.session(read_only=True) as session:
        return [tuple(row) for row in session.execute(chosen)]


def test_parked(importer, sources):
    """A quarter of the real dissents are orphans: to drop them loses what agents knew, to fail for them the rest."""
    sources.write(
        "a.db", CONSENSUS, DISSENT,
        rows={
            "consensus": [agreed("c")],
            "dissent": [objection("d1", "c"), objection("d2", "x"), objection("d3", "y")],
        },
    )  # fmt: skip
    report = importer()
    assert report.good
    (found,) = [each for each in report.tables if each.table == "dissent"]
    assert (found.rows, found.carried, found.parked, found.rejected) == (3, 1, 2, 0)
    assert dict(found.reasons) == {NO_CONSENSUS: 2}
    assert f"a.db, dissent: 2 {NO_CONSENSUS}" in report.markdown()
    assert ledger(importer, "dissent") == [(3, 1, 2)]
    assert importer.rows("legacy_rows", "table_name", "row_key", "reason") == [
        *(("dissent", "d2", NO_CONSENSUS), ("dissent", "d3", NO_CONSENSUS))
    ]
    assert importer(verify_only=True).good


def test_the_parent_comes_later(importer, sources):
    """The other file turns up next week: its children are put where they belong, and the books say so."""
    sources.write("a.db", DISSENT, rows={"dissent": [objection("d1", "c"), objection("d2", "x")]})
    assert importer(timezone="Europe/Berlin").total("parked") == 2
    sources.write("b.db", CONSENSUS, rows={"consensus": [agreed("c")]})
    report = importer()  # in another time zone, which is not that of the rows that wait
    assert report.good
    assert report.attached == {"dissent": 1}
    (found,) = [each for each in report.tables if each.table == "dissent"]
    assert (found.carried, found.parked) == (1, 1)
    assert dict(found.reasons) == {"read as local times of Europe/Berlin in an earlier run, and not again": 2}
    assert found.proven
    assert [str(row[1]) for row in importer.rows("dissent", "id", "timestamp")] == ["2026-01-15 11:00:00+00:00"]
    assert importer.rows("legacy_rows", "row_key", "reason") == [("d2", NO_CONSENSUS)]
    assert ledger(importer, "dissent") == [(2, 1, 1)]
    assert importer().nothing_to_do
    assert importer(verify_only=True, timezone="Europe/Berlin").good


def test_the_parent_comes_in_the_same_run(importer, sources):
    """Children in one file, parents in another: the order of the files is nobody's concern."""
    sources.write("a.db", DISSENT, rows={"dissent": [objection("d", "c")]})
    sources.write("b.db", CONSENSUS, rows={"consensus": [agreed("c")]})
    report = importer()
    assert (report.total("carried"), report.total("parked"), report.attached) == (2, 0, {})
    assert importer.count("legacy_rows") == 0


def test_attached_only_once(importer, sources):
    """A row that waited in two files, and came with its parent in a third, is one row."""
    for name in ("a.db", "b.db"):
        sources.write(name, DISSENT, f"PRAGMA user_version = {ord(name[0])}", rows={"dissent": [objection("d", "c")]})
    assert importer().total("parked") == 2
    sources.write("c.db", CONSENSUS, DISSENT, rows={"consensus": [agreed("c")], "dissent": [objection("d", "c")]})
    report = importer()
    assert report.good
    assert report.attached == {"dissent": 2}
    assert importer.rows("dissent", "id") == [("d",)]
    assert importer.count("legacy_rows") == 0
    assert importer(verify_only=True).good


def test_rejected(importer, sources):
    """`--orphans reject`: out of the database and into the rejects file, whole, and the exit code says so."""
    sources.write(
        "a.db", CONSENSUS, DISSENT,
        rows={"consensus": [agreed("c")], "dissent": [objection("d1", "c"), objection("d2", "x")]},
    )  # fmt: skip
    report = importer(orphans="reject")
    assert not report.good
    (found,) = [each for each in report.tables if each.table == "dissent"]
    assert (found.rows, found.carried, found.parked, found.rejected) == (2, 1, 0, 1)
    assert dict(found.reasons) == {NO_CONSENSUS: 1}
    assert importer.count("legacy_rows") == 0
    (file,) = importer.output.glob("*.rejects.jsonl")
    assert report.rejects_file == str(file)
    (line,) = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert (line["file"], line["table"], line["rowid"], line["column"]) == ("a.db", "dissent", 2, None)
    assert line["reason"] == NO_CONSENSUS
    assert line["row"]["id"] == ["text", "ZDI="]  # base64 of d2
    assert importer(verify_only=True).total("rejected") == 1


def test_a_chain(importer, sources):
    """Parents in the table itself, and in any order: a child may come before its parent, and often does."""
    sources.write(
        "genesis.db", EVENTS,
        rows={"genesis_events": [event("c", "b"), event("b", "a"), event("a", None), event("z", "z")]},
    )  # fmt: skip
    found = importer.one("genesis_events")
    assert (found.carried, found.parked) == (4, 0)
    assert importer.rows("genesis_events", "event_id", "parent_event_id") == [
        *(("a", None), ("b", "a"), ("c", "b"), ("z", "z"))
    ]


def test_a_chain_without_its_beginning(importer, sources):
    """If the first parent is missing, so is everybody's after it; with it, all of them come, in one go."""
    chain = [event("d", "c"), event("c", "b"), event("b", "a"), event("other", None)]
    sources.write("genesis.db", EVENTS, rows={"genesis_events": chain})
    found = importer.one("genesis_events")
    assert (found.carried, found.parked, dict(found.reasons)) == (1, 3, {NO_EVENT: 3})
    sources.write("older.db", EVENTS, rows={"genesis_events": [event("a", None)]})
    report = importer()
    assert report.good
    assert report.attached == {"genesis_events": 3}
    assert importer.rows("genesis_events", "event_id") == [("a",), ("b",), ("c",), ("d",), ("other",)]
    assert importer.count("legacy_rows") == 0
    assert ledger(importer, "genesis_events") == [(4, 4, 0), (1, 1, 0)]
    assert importer(verify_only=True).good


def test_a_long_chain(importer, sources):
    """More than are looked at together, and the youngest first: none of them may be left to a next run."""
    count = 2_500
    chain = [event(f"e{place:05}", f"e{place - 1:05}") for place in range(count, 0, -1)]
    sources.write("genesis.db", EVENTS, rows={"genesis_events": chain})
    assert importer().total("parked") == count
    sources.write("older.db", EVENTS, rows={"genesis_events": [event("e00000", None)]})
    assert importer().attached == {"genesis_events": count}
    assert importer.count("genesis_events") == count + 1


def test_a_row_and_its_refused_parent(importer, sources):
    """A parent that cannot go takes nobody with it: the children wait, and are not an error of the database."""
    sources.write(
        "a.db", CONSENSUS, DISSENT,
        rows={"consensus": [("c", "t", "h", "yes", "no such strength", "{}")], "dissent": [objection("d", "c")]},
    )  # fmt: skip
    report = importer()
    assert (report.total("rejected"), report.total("parked"), report.total("carried")) == (1, 1, 0)
    assert all(each.proven for each in report.tables)


def test_numbered_children(importer, sources):
    """A child that waits keeps its number; one that finds it taken by then gets the next."""
    critiques = "CREATE TABLE critiques (id INTEGER PRIMARY KEY AUTOINCREMENT, debate_id TEXT, agent TEXT, created_at);"
    sources.write(
        "a.db", critiques, rows={"critiques": [(1, "d", "kimi", "2026-01-15"), (2, "d", "grok", "2026-01-15")]}
    )
    assert importer().total("parked") == 2
    sources.write(
        "b.db", critiques, "CREATE TABLE debates (id TEXT PRIMARY KEY, task TEXT, final_answer TEXT);",
        rows={"critiques": [(2, None, "yi", "2026-01-15")], "debates": [("d", "task", "yes")]},
    )  # fmt: skip
    assert importer().attached == {"critiques": 2}
    assert importer.rows("critiques", "id", "agent") == [(1, "kimi"), (2, "yi"), (3, "grok")]
    assert importer(verify_only=True).good


def test_what_has_no_place_stays(importer, sources):
    """An orphan with a column that we do not know is attached like any other, and keeps that column whole."""
    surplus = DISSENT.replace("data TEXT", "data TEXT, surplus TEXT")
    sources.write(
        "old.db", surplus, rows={"dissent": [(*objection("d1", "c1"), "keep me"), (*objection("d2", "c1"), None)]}
    )
    first = importer.one("dissent")
    assert (first.parked, first.noted) == (2, 1)
    assert {reason for _, reason in importer.rows("legacy_rows", "row_key", "reason")} == {NO_CONSENSUS}
    sources.write("new.db", CONSENSUS, rows={"consensus": [agreed("c1")]})
    assert importer().attached == {"dissent": 2}
    assert importer.count("dissent") == 2
    ((reason, row),) = importer.rows("legacy_rows", "reason", "row")
    assert (reason, row["surplus"]) == ("columns without a place: surplus", "keep me")
