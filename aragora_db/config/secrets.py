"""The seam to a secrets manager. What stands behind it is supplied by the caller."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SecretSource"]


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
