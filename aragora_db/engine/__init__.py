"""One factory for sync and async engines, and a module per dialect for what that dialect needs."""

from aragora_db.engine.factory import READ_ONLY_OPTIONS, create_async_engine, create_engine
from aragora_db.engine.target import Target

__all__ = ["READ_ONLY_OPTIONS", "Target", "create_async_engine", "create_engine"]
