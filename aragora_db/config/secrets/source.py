"""The seam to a secrets manager. What stands behind it is supplied by the caller."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["RotatingSource", "SecretSource"]


@runtime_checkable
class SecretSource(Protocol):
    """Something that keeps secrets under the names of environment variables."""

    def get(self, name: str) -> str | None:
        """Look a secret up.

        Args:
            name: the name of the environment variable the secret stands in for, such as ``DATABASE_URL``.

        Returns:
            The secret, or None when there is none of that name.
        """
        ...


@runtime_checkable
class RotatingSource(SecretSource, Protocol):
    """A source whose secrets change while we run. Its methods are called from any thread."""

    def refresh(self) -> bool:
        """Ask again now, whatever is cached.

        Returns:
            Whether a secret is another one than before.
        """
        ...

    def health(self) -> dict[str, Any]:
        """How the source is, for a health check: JSON, without content and without names of hosts. Never raises.

        Returns:
            ``source`` (its kind), ``age_seconds`` (of what it answers with; None before the first answer), ``stale``
            (whether it could not be asked the last time) and ``error`` (the error's class or code, or None).
        """
        ...
