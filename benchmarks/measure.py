"""Measuring two things in turns, and writing down what came out, on which machine."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One thing measured: seconds of each run, and the peer's median that its own is divided by."""

    name: str
    seconds: tuple[float, ...]
    peer: float | None = None

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def ratio(self) -> float | None:
        """How many times the peer's median; None for the peer itself."""
        return None if self.peer is None else self.median / self.peer


@dataclass(frozen=True)
class Result:
    """A benchmark: its rows, and what a reader has to know, such as the bar it is held to."""

    name: str
    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The page in `results`."""
        lines = [f"# {self.title}", "", f"{datetime.now(UTC):%Y-%m-%d}; {machine()}", ""]
        lines += ["| | runs | min ms | median ms | max ms | ratio |", "|---|--:|--:|--:|--:|--:|"]
        for row in self.rows:
            low, middle, high = (f"{1000 * value:.2f}" for value in (min(row.seconds), row.median, max(row.seconds)))
            ratio = "1" if row.ratio is None else f"{row.ratio:.2f}"
            lines.append(f"| {row.name} | {len(row.seconds)} | {low} | {middle} | {high} | {ratio} |")
        lines += ["", *self.notes]
        return "\n".join(lines).rstrip() + "\n"


def in_turns(actions: Mapping[str, Callable[[], float]], runs: int) -> dict[str, tuple[float, ...]]:
    """Run each action once, throw that away, then all of them ``runs`` times in turns.

    In turns, so that a slow minute of the machine is shared by all. An action returns its own seconds.
    """
    for action in actions.values():
        action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(runs):
        for name, action in actions.items():
            seconds[name].append(action())
    return {name: tuple(values) for name, values in seconds.items()}


def against(peer: str, seconds: Mapping[str, tuple[float, ...]]) -> tuple[Row, ...]:
    """Rows, the peer first and the others as ratios to it."""
    base = statistics.median(seconds[peer])
    return (Row(peer, seconds[peer]), *(Row(name, each, base) for name, each in seconds.items() if name != peer))


def machine() -> str:
    """Where it ran, in one line, without the machine's name."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, {platform.python_implementation()} {platform.python_version()}"
