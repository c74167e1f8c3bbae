"""New revisions: what autogenerate writes is right on both dialects, whichever of them it looked at."""

from __future__ import annotations

import re
from enum import StrEnum
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from aragora_db import Database, Settings, types
from aragora_db.migrations import environment
from aragora_db.migrations.catalogue import compare
from aragora_db.migrations.create import create_revision
from aragora_db.models import Base
from aragora_db.models.base import _harden
from aragora_db.types import ddl


class Mood(StrEnum):
    """For a column with a CHECK."""

    CALM = "calm"
    ANGRY = "angry"


def scratch_metadata() -> sa.MetaData:
    """The models' metadata with one table more, which has every type and every kind of default, key and index."""
    metadata = sa.MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        copy = table.to_metadata(metadata)
        for original in table.indexes:  # a copy forgets for which database an index is
            next(index for index in copy.indexes if index.name == original.name)._ddl_if = original._ddl_if
    table = sa.Table(
        "scratch",
        metadata,
        sa.Column("id", types.Integer(), sa.Identity(), primary_key=True),
        sa.Column("name", types.Key(), nullable=False, unique=True),
        sa.Column("mood", types.EnumText(Mood), server_default="calm", nullable=False),
        sa.Column("note", types.Text(), server_default='it\'s 100% "quoted"', nullable=False),
        sa.Column("count", types.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("share", types.Double(), server_default=sa.text("0.5"), nullable=False),
        sa.Column("active", types.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("hidden", types.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("made_at", types.UtcDateTime(), server_default=ddl.now(), nullable=False),
        sa.Column("seen_at", types.UtcDateTime()),
        sa.Column("meta", types.Json(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("photo", types.Blob()),
        sa.Column("debate_id", types.Key(), sa.ForeignKey("debates.id", ondelete="CASCADE"), nullable=False),
        sa.CheckConstraint("share BETWEEN 0 AND 1", name="share_range"),
        sa.UniqueConstraint("debate_id", "name"),
    )
    _harden(table)
    sa.Index("ix_scratch_newest", table.c.made_at.desc(), table.c.id)
    for name, where in {"active": sa.text("active"), "seen": table.c.seen_at.is_not(None)}.items():
        sa.Index(f"ix_scratch_{name}", table.c.name, sqlite_where=where, postgresql_where=where)
    sa.Index("ix_scratch_debate_id", table.c.debate_id)
    metadata.tables["debates"].append_column(sa.Column("scratch_note", types.Text()))
    return metadata


@pytest.fixture
def databases(fresh_databases):
    """A database of each dialect, at head."""
    made = [
        Database(Settings.explicit(database_url=fresh_databases.url(dialect))) for dialect in ("sqlite", "postgresql")
    ]
    yield made
    for database in made:
        database.close()


def test_autogenerate_writes_one_text_that_runs_everywhere(databases, revisions, monkeypatch):
    """Written against a laptop's SQLite it would fail in production, or make a column that means something else."""
    metadata = scratch_metadata()
    monkeypatch.setattr(environment, "Base", SimpleNamespace(metadata=metadata))
    sources = []
    for database in databases:
        path = create_revision(database._target, "scratch table", autogenerate=True)
        sources.append(path.read_text())
        path.unlink()
        revisions.refresh()
    assert sources[0] == sources[1]
    source = sources[0]
    imports = re.findall(r"^(?:import|from) .*", source, re.MULTILINE)
    assert sorted(line.partition("  #")[0] for line in imports) == [
        "from alembic import op",
        "from aragora_db.migrations import vocabulary as v",
        "from aragora_db.migrations.forward_only import no_way_back as __getattr__",
        "import sqlalchemy as sa",
    ]
    assert "aragora_db.types" not in source

    path.write_text(source)
    revisions.refresh()
    for database in databases:
        assert database.migrate() == [path.stem]
        with database.engine.connect() as connection:
            assert compare(connection, metadata) == []


def test_nothing_is_found_where_nothing_changed(databases, revisions):
    """A false alarm in every generated revision teaches people to delete lines without reading them."""
    for database in databases:
        path = create_revision(database._target, "nothing", autogenerate=True)
        body = path.read_text().partition("def upgrade")[2]
        assert "op." not in body
        path.unlink()
        revisions.refresh()
