"""Search debates and insights by keyword.

As for memories: words first, then the index.

Revision: 20260206_debate_and_insight_keywords
Follows: 20260205_consensus_topics
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260206_debate_and_insight_keywords"
down_revision = "20260205_consensus_topics"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Search debates and insights by keyword."""
    op.create_table(
        "debate_keywords",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("owner_id", v.text(), nullable=False),
        sa.Column("words", v.text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["debates.id"], name=op.f("fk_debate_keywords_owner_id_debates"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_debate_keywords")),
        sa.UniqueConstraint("owner_id", name=op.f("uq_debate_keywords_owner_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    v.create_fts5("debate_keywords")
    v.fill_keywords("debate_keywords", "debates", ["task"])
    v.create_gin("ix_debate_keywords_words", "debate_keywords")
    op.create_table(
        "insight_keywords",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("owner_id", v.text(), nullable=False),
        sa.Column("words", v.text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["insights.id"], name=op.f("fk_insight_keywords_owner_id_insights"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_insight_keywords")),
        sa.UniqueConstraint("owner_id", name=op.f("uq_insight_keywords_owner_id")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    v.create_fts5("insight_keywords")
    v.fill_keywords("insight_keywords", "insights", ["title", "description"], json_columns=["agents_involved"])
    v.create_gin("ix_insight_keywords_words", "insight_keywords")
