"""The base of the settings' groups of fields."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Group"]


class Group(BaseSettings):
    """Some of the fields. Only ``Settings`` is ever filled, so that no other validator is built (17 ms of import)."""

    model_config = SettingsConfigDict(defer_build=True)
