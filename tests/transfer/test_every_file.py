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

REAL = Path(__file__).parents[3] / "shared" / "fixtures" / "nomic"
"""Aragora's own files, where they lie beside the repository."""

FOLDERS = ["generated"]
if REAL.is_dir():
    FOLDERS.append(pytest.param("real", marks=[pytest.mark.fixtures, pytest.mark.slow]))

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


def test_nothing_is_lost(importer, filled):
    """A row that is neither carried, merged, rejected nor parked is knowledge that vanished."""
    before = _hashes(filled.folder)
    assert len(before) == 21
    report = importer()
    assert report.good
    assert report.foreign_keys is True
    assert all(table.proven and not table.rejected for table in report.tables)
    assert report.total("rows") == report.total("carried") + report.total("parked")
    assert not [each.table for each in report.tables if each.target == "legacy_rows"]  # every table has a place
    if filled.real:
        assert {each.table: each.parked for each in report.tables if each.parked} == ORPHANS
    assert _hashes(filled.folder) == before  # sources are as they were, and nothing lies beside them


@pytest.mark.usefixtures("filled")
def test_the_same_on_both(into):
    """One checksum per table, whatever the database: otherwise the laptop and production hold different things."""
    assert _checksums(into("sqlite")()) == _checksums(into("postgresql")())


@pytest.mark.usefixtures("filled")
def test_again(importer):
    """A second run must do nothing; after the ledger is lost it must find every row again and double none."""
    first = importer()
    counts = {name: importer.count(name) for name in Base.metadata.tables}
    second = importer()
    assert second.nothing_to_do
    assert {count: second.total(count) for count in ("rows", "carried", "parked")} == {
        count: first.total(count) for count in ("rows", "carried", "parked")
    }
    with importer.database.session() as session:
        session.execute(sa.text("DELETE FROM import_ledger"))
    third = importer()
    assert third.good
    assert third.total("carried") == 0
    assert third.total("merged") == first.total("carried")
    assert {name: importer.count(name) for name in Base.metadata.tables} == counts


@pytest.mark.usefixtures("filled")
def test_it_stands_later(importer):
    """`--verify-only` is what an operator asks before the old files are deleted."""
    report = importer()
    verified = importer(verify_only=True)
    assert verified.good
    assert [(each.table, each.carried, each.parked) for each in verified.tables] == [
        (each.table, each.carried, each.parked) for each in report.tables
    ]
    with importer.database.session() as session:
        session.execute(sa.delete(EloHistory).where(EloHistory.id == 2))
    broken = importer(verify_only=True)
    assert not broken.good
    assert [each.table for each in broken.tables if each.failed] == ["elo_history"]


@pytest.mark.usefixtures("filled")
def test_everything_is_in_force(importer):
    """Indexes and constraints that an import forgot to build again would show in production only."""
    importer()
    assert status(Target.of(importer.database.settings)).good
    with importer.database.session() as session:
        highest = session.scalar(sa.select(sa.func.max(EloHistory.id)))
        row = EloHistory(agent_name="new", elo=1500.0)
        session.add(row)
        session.flush()
        assert row.id > highest
    with importer.database.session(read_only=True) as session:
        found = GenesisStore(session).verify()
        assert (found.broken, found.unverifiable) == (0, 0)
        assert found.events > 0


@pytest.mark.usefixtures("filled")
def test_dry_run(importer):
    """The real figures, and not a byte of change: that is what makes it worth running first."""
    rehearsed = importer(dry_run=True)
    assert rehearsed.mode == "dry run"
    assert {name: importer.count(name) for name in Base.metadata.tables if name != "schema_history"} == dict.fromkeys(
        set(Base.metadata.tables) - {"schema_history"}, 0
    )
    real = importer()
    counts = ("rows", "carried", "merged", "rejected", "parked")
    figures = [
        [(each.table, *(getattr(each, count) for count in counts)) for each in report.tables]
        for report in (rehearsed, real)
    ]
    assert sorted(figures[0]) == sorted(figures[1])
