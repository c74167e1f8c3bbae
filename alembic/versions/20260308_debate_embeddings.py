"""Embeddings of texts from debates.

Revision: 20260308_debate_embeddings
Follows: 20260307_traces
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260308_debate_embeddings"
down_revision = "20260307_traces"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Embeddings of texts from debates."""
    op.create_table(
        "debate_embeddings",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("text_hash", v.text(), nullable=True),
        sa.Column("text", v.text(), nullable=True),
        sa.Column("embedding", v.vector(), nullable=True),
        sa.Column("provider", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_debate_embeddings")),
        sa.UniqueConstraint("text_hash", name=op.f("uq_debate_embeddings_text_hash")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_debate_embeddings_created_at")),
        sqlite_strict=True,
    )
