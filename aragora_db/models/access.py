"""What guards the door: tokens that no longer count, and who is told about events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, index, key

__all__ = ["RevokedToken", "WebhookConfig"]


class RevokedToken(Base):
    """A token that was revoked before it expired, by its id (`jti`, RFC 7519)."""

    __tablename__ = "token_blacklist"

    jti: Mapped[key] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[CreatedAt]


index(RevokedToken, "expires_at", "clean-up of tokens that would have expired anyway", RevokedToken.expires_at)


class WebhookConfig(Base):
    """A URL that is called when events happen. `secret` signs the calls."""

    __tablename__ = "webhook_configs"

    id: Mapped[key] = mapped_column(primary_key=True)
    url: Mapped[str]
    events_json: Mapped[list[Any]]
    secret: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    name: Mapped[str | None]
    description: Mapped[str | None]
    last_delivery_at: Mapped[datetime | None]
    last_delivery_status: Mapped[int | None]
    delivery_count: Mapped[Count]
    failure_count: Mapped[Count]
    user_id: Mapped[key | None]
    workspace_id: Mapped[key | None]


index(WebhookConfig, "user", "a user's webhooks", WebhookConfig.user_id)
index(WebhookConfig, "workspace", "a workspace's webhooks", WebhookConfig.workspace_id)
