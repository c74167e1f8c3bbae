"""The switch between serving and leaving."""

from __future__ import annotations

import threading

__all__ = ["Drain"]


class Drain:
    """Says whether this instance is leaving: then `/readyz` answers 503 while everything else goes on.

    Thread-safe, and safe to call from a signal handler.
    """

    def __init__(self) -> None:
        self._begun = threading.Event()

    def begin(self) -> None:
        """Leave. There is no way back."""
        self._begun.set()

    @property
    def begun(self) -> bool:
        """Whether this instance is leaving."""
        return self._begun.is_set()
