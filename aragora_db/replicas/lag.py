"""How far a replica is behind in seconds, by one clock: ours."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

__all__ = ["History"]


class _Sample(NamedTuple):
    at: float
    sent: int
    written: int


class History:
    """Where the primary was, and when we asked.

    One thread adds; any number of threads may ask meanwhile.

    Args:
        keep: how long a sample is remembered, in seconds.
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._samples: tuple[_Sample, ...] = ()

    def add(self, at: float, sent: int, written: int) -> None:
        """Remember where the primary was. One that went back is another server, after a failover.

        Args:
            at: when it was asked.
            sent: what it could send to standbys.
            written: behind everything that was committed.
        """
        samples = self._samples
        if samples and sent < samples[-1].sent:
            samples = ()
        self._samples = (*(each for each in samples if each.at >= at - self._keep), _Sample(at, sent, written))

    def clear(self) -> None:
        """Forget everything: the positions of another cluster mean nothing."""
        self._samples = ()

    @property
    def newest(self) -> float | None:
        """When the primary was last asked."""
        samples = self._samples
        return samples[-1].at if samples else None

    def written_by(self, at: float) -> int | None:
        """A position behind everything that was committed before that time; None when it was not asked since."""
        samples = self._samples
        later = bisect_right(samples, at, key=lambda sample: sample.at)
        return samples[later].written if later < len(samples) else None

    def seconds_behind(self, replayed: int, now: float) -> float | None:
        """How long ago the primary already was further than the replica is.

        Returns:
            Seconds, 0 when the replica has all that we know of; None when it is behind everything we remember.
        """
        samples = self._samples
        reached = bisect_right(samples, replayed, key=lambda sample: sample.sent)
        if not reached:
            return None
        return now - samples[reached].at if reached < len(samples) else 0.0
