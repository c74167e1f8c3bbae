"""Retrieve memories by score through an index.

Built concurrently on PostgreSQL, so that memories can be written meanwhile; alone in its revision for that reason.

Revision: 20260204_continuum_weight_index
Follows: 20260203_continuum_search
Created: 2026-11-24
"""

import sqlalchemy as sa

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260204_continuum_weight_index"
down_revision = "20260203_continuum_search"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Retrieve memories by score through an index."""
    weight = sa.literal_column("(importance * (1.0 + surprise_score)) DESC")
    v.create_index_concurrently(
        "ix_continuum_memory_tier_weight",
        "continuum_memory",
        ["tier", weight, sa.literal_column("updated_at DESC"), "id"],
    )
