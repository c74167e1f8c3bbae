"""The record of imports, and rows that have no other place.

Revision: 20260310_imports
Follows: 20260309_tokens_and_webhooks
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260310_imports"
down_revision = "20260309_tokens_and_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The record of imports, and rows that have no other place."""
    op.create_table(
        "legacy_rows",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("source_file", v.text(), nullable=False),
        sa.Column("table_name", v.text(), nullable=False),
        sa.Column("row_key", v.text(), nullable=False),
        sa.Column("reason", v.text(), nullable=False),
        sa.Column("row", v.json(), nullable=False),
        sa.Column("fingerprint", v.text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legacy_rows")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_legacy_rows_fingerprint")),
        v.sqlite_check("json", "row", name=op.f("ck_legacy_rows_row")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_legacy_rows_table", "legacy_rows", ["table_name", "source_file", "id"], unique=False)
    op.create_table(
        "import_ledger",
        sa.Column("id", v.bigint(), sa.Identity(always=False), nullable=False),
        sa.Column("content_hash", v.text(), nullable=False),
        sa.Column("source_file", v.text(), nullable=False),
        sa.Column("table_name", v.text(), nullable=False),
        sa.Column("target", v.text(), nullable=False),
        sa.Column("rows", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("carried", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("merged", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("parked", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("checksum", v.text(), nullable=True),
        sa.Column("source_timezone", v.text(), nullable=False),
        sa.Column("rejects_file", v.text(), nullable=True),
        sa.Column("imported_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_ledger")),
        sa.UniqueConstraint("content_hash", "table_name", name=op.f("uq_import_ledger_content_hash_table_name")),
        v.sqlite_check("utc", "imported_at", name=op.f("ck_import_ledger_imported_at")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "ix_import_ledger_imported_at",
        "import_ledger",
        [sa.literal_column("imported_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
