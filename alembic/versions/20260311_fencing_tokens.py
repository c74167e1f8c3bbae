"""Fencing tokens: an expired holder of a lock is refused by the database.

Revision: 20260311_fencing_tokens
Follows: 20260310_imports
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260311_fencing_tokens"
down_revision = "20260310_imports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Fencing tokens: an expired holder of a lock is refused by the database."""
    op.create_table(
        "fencing_tokens",
        sa.Column("name", v.text(), nullable=False),
        sa.Column("token", v.bigint(), nullable=False),
        sa.Column("holder", v.text(), nullable=False),
        sa.Column("acquired_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fencing_tokens")),
        sa.CheckConstraint("token >= 1", name=op.f("ck_fencing_tokens_token_positive")),
        v.sqlite_check("utc", "acquired_at", name=op.f("ck_fencing_tokens_acquired_at")),
        sqlite_strict=True,
    )
