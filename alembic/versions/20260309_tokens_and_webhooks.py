"""Revoked tokens and webhooks.

Revision: 20260309_tokens_and_webhooks
Follows: 20260308_debate_embeddings
Created: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

from aragora_db.migrations import vocabulary as v
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`

revision = "20260309_tokens_and_webhooks"
down_revision = "20260308_debate_embeddings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Revoked tokens and webhooks."""
    op.create_table(
        "token_blacklist",
        sa.Column("jti", v.text(), nullable=False),
        sa.Column("expires_at", v.utc(), nullable=False),
        sa.Column("revoked_at", v.utc(), server_default=v.now(), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_token_blacklist")),
        v.sqlite_check("utc", "expires_at", name=op.f("ck_token_blacklist_expires_at")),
        v.sqlite_check("utc", "revoked_at", name=op.f("ck_token_blacklist_revoked_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_token_blacklist_expires_at", "token_blacklist", ["expires_at"], unique=False)
    op.create_table(
        "webhook_configs",
        sa.Column("id", v.text(), nullable=False),
        sa.Column("url", v.text(), nullable=False),
        sa.Column("events_json", v.json(), nullable=False),
        sa.Column("secret", v.text(), nullable=False),
        sa.Column("active", v.boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("updated_at", v.utc(), server_default=v.now(), nullable=False),
        sa.Column("name", v.text(), nullable=True),
        sa.Column("description", v.text(), nullable=True),
        sa.Column("last_delivery_at", v.utc(), nullable=True),
        sa.Column("last_delivery_status", v.bigint(), nullable=True),
        sa.Column("delivery_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("failure_count", v.bigint(), server_default=sa.text("0"), nullable=False),
        sa.Column("user_id", v.text(), nullable=True),
        sa.Column("workspace_id", v.text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_configs")),
        v.sqlite_check("boolean", "active", name=op.f("ck_webhook_configs_active")),
        v.sqlite_check("json", "events_json", name=op.f("ck_webhook_configs_events_json")),
        v.sqlite_check("utc", "created_at", name=op.f("ck_webhook_configs_created_at")),
        v.sqlite_check("utc", "last_delivery_at", name=op.f("ck_webhook_configs_last_delivery_at")),
        v.sqlite_check("utc", "updated_at", name=op.f("ck_webhook_configs_updated_at")),
        sqlite_strict=True,
    )
    op.create_index("ix_webhook_configs_user", "webhook_configs", ["user_id"], unique=False)
    op.create_index("ix_webhook_configs_workspace", "webhook_configs", ["workspace_id"], unique=False)
