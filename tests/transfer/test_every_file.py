"""Every file that Aragora writes goes into both databases: all rows accounted for, proven, and in force."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db.engine import Target
from aragora_db.migrations.status import status
from aragora_db.models import Base, EloHistory
from aragora_db.stores import GenesisStore

pytestmark = pytest.mark.slow

REAL = Path(__file__).parents[3] / "shared" / "fixtures" / "nomic"
"""Aragora's own files, where they lie beside the repository."""

FOLDERS = ["generated"]
if REAL.is_dir():
    # 25,000 rows, read five times: longer than the limit of one test where both cores have other work.
    FOLDERS.append(pytest.param("real", marks=[pytest.mark.fixtures, pytest.mark.slow, pytest.mark.timeout(600)]))

ORPHANS = {"dissent": 168, "tier_transitions": 9, "verified_proofs": 22}
"""Rows of the real files that have no parent there (Aragora keeps foreign keys off)."""


@pytest.fixture(params=FOLDERS)
def filled(request: pytest.FixtureRequest, sources):
    """The folder with all 21 files: small copies, or the real ones where they are."""
    sources.real = request.param == "real"
    if sources.real:
        for path in REAL.iterdir():
            shutil.copyfile(path, sources.folder / path.name)
    else:
        sources.aragora()
    return sources


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def _checksums(report: Any) -> dict[tuple[str, str], list[str]]:
    return {(each.source_file, each.table): [sum_.checksum for sum_ in each.checksums] for each in report.tables}


def _counts(importer: Any) -> dict[str, int]:
    return {name: importer.count(name) for name in Base.metadata.tables}


def _figures(report: Any) -> list[tuple[Any, ...]]:
    names = ("table", "rows", "carried", "merged", "rejected", "parked")
    return sorted(tuple(getattr(each, name) for name in names) for each in report.tables)


CHECKSUMS: dict[tuple[bool, str], dict[tuple[str, str], list[str]]] = {}
"""The checksums of an import that was proven, by folder (real or not) and dialect."""


def _proven(importer: Any, filled: Any) -> Any:
    """Import all files, assert that the report accounts for every row, and keep its checksums."""
    report = importer()
    assert report.good
    assert report.foreign_keys is True
    assert all(table.proven and not table.rejected for table in report.tables)
    assert report.total("rows") == report.total("carried") + report.total("parked")
    assert not [each.table for each in report.tables if each.target == "legacy_rows"]  # every table has a place
    if filled.real:
        assert {each.table: each.parked for each in report.tables if each.parked} == ORPHANS
    CHECKSUMS[filled.real, importer.database.engine.dialect.name] = _checksums(report)
    return report


def test_every_file(importer, filled):
    """A row that is neither carried, merged, rejected nor parked is knowledge that vanished.

    One import serves all claims: it takes most of the time, and each claim is about what it left.
    """
    before = _hashes(filled.folder)
    assert len(before) == 21
    empty = _counts(importer)
    assert sum(empty.values()) == empty["schema_history"]

    # A dry run gives the real figures and changes nothing: that is what makes it worth running first.
    rehearsed = importer(dry_run=True)
    assert rehearsed.mode == "dry run"
    assert _counts(importer) == empty
    report = _proven(importer, filled)
    assert _figures(rehearsed) == _figures(report)
    assert _hashes(filled.folder) == before  # sources are as they were, and nothing lies beside them

    # Indexes and constraints that an import forgot to build again would show in production only.
    assert status(Target.of(importer.database.settings)).good
    with importer.database.session(read_only=True) as session:
        found = GenesisStore(session).verify_ledger()
        assert (found.broken, found.unverifiable) == (0, 0)
        assert found.events > 0

    # `--verify-only` is what an operator asks before the old files are deleted.
    verified = importer(verify_only=True)
    assert verified.good
    assert [(each.table, each.carried, each.parked) for each in verified.tables] == [
        (each.table, each.carried, each.parked) for each in report.tables
    ]

    # A second run does nothing; after the ledger is lost it finds every row again and doubles none.
    counts = _counts(importer)
    second = importer()
    assert second.nothing_to_do
    totals = ("rows", "carried", "parked")
    assert [second.total(count) for count in totals] == [report.total(count) for count in totals]
    with importer.database.session() as session:
        session.execute(sa.text("DELETE FROM import_ledger"))
    third = importer()
    assert third.good
    assert third.total("carried") == 0
    assert third.total("merged") == report.total("carried")
    assert _counts(importer) == counts

    with importer.database.session() as session:
        highest = session.scalar(sa.select(sa.func.max(EloHistory.id)))
        row = EloHistory(agent_name="new", elo=1500.0)
        session.add(row)
        session.flush()
        assert row.id > highest


def test_a_lost_row_shows(importer, sources):
    """`--verify-only` names the table that is not whole any more, and no other."""
    sources.aragora()
    assert importer().good
    with importer.database.session() as session:
        session.execute(sa.delete(EloHistory).where(EloHistory.id == 2))
    broken = importer(verify_only=True)
    assert not broken.good
    assert [each.table for each in broken.tables if each.failed] == ["elo_history"]


def test_the_same_on_both(into, filled):
    """One checksum per table, whatever the database: otherwise the laptop and production hold different things."""
    dialects = ("sqlite", "postgresql")
    for dialect in dialects:
        if (filled.real, dialect) not in CHECKSUMS:  # as it is if `test_every_file` ran in this process
            _proven(into(dialect), filled)
    one, other = (CHECKSUMS[filled.real, dialect] for dialect in dialects)
    assert one == other
