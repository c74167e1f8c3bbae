"""What single values must be, beyond their type and range; each raises ValueError, which pydantic collects."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

__all__ = ["folder", "host", "lower", "name", "none_or_a_second", "plain", "plain_secret"]


def lower(value: object) -> object:
    """Words mean the same in capitals."""
    return value.strip().lower() if isinstance(value, str) else value


def plain(value: str) -> str:
    """Refuse what libpq cannot take: NUL, and the lone surrogates that Python makes of bytes that are no UTF-8."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("UTF-8 without NUL only")
    return value


def plain_secret(value: SecretStr) -> SecretStr:
    """`plain`, for a secret."""
    plain(value.get_secret_value())
    return value


def host(value: str) -> str:
    """Refuse what is more than a host."""
    if "://" in value or "@" in value[1:] or any(character.isspace() for character in value):
        raise ValueError("a host only: no URL, no user@host, no space after a comma")
    return value


def name(value: str) -> str:
    """Refuse a whole DSN in the wrong variable: it would be shown with its password."""
    if "://" in value:
        raise ValueError("a name only: no URL")
    return value


def folder(value: Path) -> Path:
    """Refuse a URL, which a path has made one slash shorter, and what no file system takes."""
    if re.match(r"\w[\w+]+:/", str(value)):  # a single letter is a drive of Windows
        raise ValueError("a folder only: no URL")
    plain(str(value))
    return value


def none_or_a_second(value: float) -> float:
    """Refuse part of a second, except 0."""
    if 0 < value < 1:
        raise ValueError("the statement timeout must fit below, and is in whole seconds")
    return value
