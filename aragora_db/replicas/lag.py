"""Compute replay lag in seconds from samples of the primary's LSN, by this process's clock alone."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

__all__ = ["LsnHistory"]


class _Sample(NamedTuple):
    at: float
    flush_lsn: int
    commit_lsn: int


class LsnHistory:
    """Samples of the primary's LSNs with the time of each query.

    One thread adds samples; any number of threads may read meanwhile.

    Args:
        keep: how long a sample is kept, in seconds.
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._samples: tuple[_Sample, ...] = ()

    def add(self, at: float, flush_lsn: int, commit_lsn: int) -> None:
        """Add a sample. If the flush LSN went back, the server is a new primary, and older samples are dropped.

        Args:
            at: `time.monotonic()` before the query.
            flush_lsn: the end of what the primary can send to standbys.
            commit_lsn: an LSN at or after every commit made before the query.
        """
        samples = self._samples
        if samples and flush_lsn < samples[-1].flush_lsn:
            samples = ()
        self._samples = (*(each for each in samples if each.at >= at - self._keep), _Sample(at, flush_lsn, commit_lsn))

    def clear(self) -> None:
        """Drop all samples: LSNs of another cluster cannot be compared."""
        self._samples = ()

    @property
    def newest_at(self) -> float | None:
        """Return the time of the newest sample, or None without one."""
        samples = self._samples
        return samples[-1].at if samples else None

    def commit_lsn_at(self, at: float) -> int | None:
        """Return an LSN at or after every commit made by time `at`, or None without a later sample."""
        samples = self._samples
        later = bisect_right(samples, at, key=lambda sample: sample.at)
        return samples[later].commit_lsn if later < len(samples) else None

    def seconds_behind(self, replay_lsn: int, now: float) -> float | None:
        """Return the replay lag: the time since the primary passed the replica's replay LSN.

        Returns:
            Seconds; 0 if the replica has replayed the newest sample; None if it is behind the oldest sample.
        """
        samples = self._samples
        reached = bisect_right(samples, replay_lsn, key=lambda sample: sample.flush_lsn)
        if not reached:
            return None
        return now - samples[reached].at if reached < len(samples) else 0.0
