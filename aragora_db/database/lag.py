"""How far a replica is behind in seconds, by one clock: ours."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

__all__ = ["History"]

_position = itemgetter(1)


class History:
    """Where the primary was, and when we asked.

    One thread adds; any number of threads may ask meanwhile.

    Args:
        keep: how long a sample is remembered, in seconds.
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._samples: tuple[tuple[float, int], ...] = ()

    def add(self, at: float, position: int) -> None:
        """Remember that the primary was at this position. One that went back is another server, after a failover."""
        samples = self._samples
        if samples and position < samples[-1][1]:
            samples = ()
        self._samples = (*(each for each in samples if each[0] >= at - self._keep), (at, position))

    def clear(self) -> None:
        """Forget everything: the positions of another cluster mean nothing."""
        self._samples = ()

    @property
    def newest(self) -> float | None:
        """When the primary was last asked."""
        samples = self._samples
        return samples[-1][0] if samples else None

    def seconds_behind(self, replayed: int, now: float) -> float | None:
        """How long ago the primary already was further than the replica is.

        Returns:
            Seconds, 0 when the replica has all that we know of; None when it is behind everything we remember.
        """
        samples = self._samples
        reached = bisect_right(samples, replayed, key=_position)
        if not reached:
            return None
        return now - samples[reached][0] if reached < len(samples) else 0.0
