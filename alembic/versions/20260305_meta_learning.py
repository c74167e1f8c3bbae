"""Meta learning: hyperparameters and efficiency.

Revision: 20260305_meta_learning
Follows: 20260304_prompt_evolution
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260305_meta_learning"
down_revision = "20260304_prompt_evolution"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Meta learning: hyperparameters and efficiency."""
    op.create_table(
        "meta_hyperparams",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("hyperparams", v.json(), nullable=False),
        sa.Column("metrics", v.json(), nullable=True),
        sa.Column("adjustment_reason", v.text(), nullable=True),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meta_hyperparams")),
        v.sqlite_check("json", "hyperparams", name=op.f("ck_meta_hyperparams_hyperparams")),
        v.sqlite_check("json", "metrics", name=op.f("ck_meta_hyperparams_metrics")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_meta_hyperparams_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_meta_hyperparams_created_at",
        "meta_hyperparams",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "meta_efficiency_log",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("cycle_number", v.bigint(), nullable=True),
        sa.Column("metrics", v.json(), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meta_efficiency_log")),
        v.sqlite_check("json", "metrics", name=op.f("ck_meta_efficiency_log_metrics")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_meta_efficiency_log_created_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_meta_efficiency_log_created_at",
        "meta_efficiency_log",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
