"""Search memories by keyword and by meaning.

The words of the memories that are there are filled in before the index is built; ``--sql`` leaves that to `aragora-db reindex`.

Revision: 20260203_continuum_search
Follows: 20260202_tournaments
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260203_continuum_search"
down_revision = "20260202_tournaments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Search memories by keyword and by meaning."""
    op.create_table(
        "continuum_embeddings",
        sa.Column("memory_id", v.text(), nullable=False),
        sa.Column("embedding", v.vector(), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["memory_id"],
            ["continuum_memory.id"],
            name=op.f("fk_continuum_embeddings_memory_id_continuum_memory"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("memory_id", name=op.f("pk_continuum_embeddings")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_continuum_embeddings_updated_at")),
        sqlite_strict=True,
    )
    op.add_column("continuum_memory_archive", sa.Column("embedding", v.vector(), nullable=True))
    op.create_table(
        "continuum_keywords",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("owner_id", v.text(), nullable=False),
        sa.Column("words", v.text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["continuum_memory.id"],
            name=op.f("fk_continuum_keywords_owner_id_continuum_memory"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_continuum_keywords")),
        sa.UniqueConstraint("owner_id", name=op.f("uq_continuum_keywords_owner_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    v.create_fts5("continuum_keywords")
    v.fill_keywords("continuum_keywords", "continuum_memory", ["content"])
    v.create_gin("ix_continuum_keywords_words", "continuum_keywords")
