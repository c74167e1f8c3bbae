"""Secrets: where a DSN, a Redis URL or a password comes from when the environment does not hold it."""

from aragora_db.config.secrets.source import RotatingSource, SecretSource

__all__ = ["RotatingSource", "SecretSource"]
