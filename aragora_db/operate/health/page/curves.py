"""Rating curves and bars, drawn as SVG in the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aragora_db.operate.health.page.markup import Markup, element, join

if TYPE_CHECKING:
    from aragora_db.engine.pool_metrics import Durations

__all__ = ["chart", "meter", "spark", "spread"]

Curve = Sequence[tuple[datetime, float]]

_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 26
_STEPS = (5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)
_LINES = 5


def chart(curves: Mapping[str, Curve]) -> Markup:
    """All curves over one axis of time. The table below it says whose colour is whose; so does each line's title."""
    drawn = {name: curve for name, curve in curves.items() if curve}
    if not drawn:
        return element("p", "No match has been rated yet.", class_="empty")
    times = [when.timestamp() for curve in drawn.values() for when, _ in curve]
    ratings = [elo for curve in drawn.values() for _, elo in curve]
    marks = _marks(min(ratings), max(ratings))
    low, high = marks[0], marks[-1]
    begin, end = min(times), max(times)

    def x(seconds: float) -> float:
        share = (seconds - begin) / (end - begin) if end > begin else 1.0
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(elo: float) -> float:
        return _TOP + (high - elo) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    grid = [
        join(
            (
                element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{y(mark):.1f}", y2=f"{y(mark):.1f}", class_="grid"),
                element("text", f"{mark:g}", x=_LEFT - 8, y=f"{y(mark) + 4:.1f}", class_="tick end"),
            )
        )
        for mark in marks
    ]
    first, last = (datetime.fromtimestamp(seconds, UTC) for seconds in (begin, end))
    form = "%H:%M:%S" if end - begin < 3600 else "%d %b %H:%M" if end - begin < 14 * 86400 else "%d %b %Y"  # noqa: PLR2004
    ticks = (
        element("text", first.strftime(form), x=_LEFT, y=_HEIGHT - 6, class_="tick"),
        element("text", f"{last.strftime(form)} UTC", x=_WIDTH - _RIGHT, y=_HEIGHT - 6, class_="tick end"),
    )
    lines = [
        element(
            "g",
            element("title", f"{name}: {curve[-1][1]:.0f}"),
            element(
                "polyline",
                points=" ".join(f"{x(when.timestamp()):.1f},{y(elo):.1f}" for when, elo in curve),
                class_="curve",
            ),
            element("circle", cx=f"{x(curve[-1][0].timestamp()):.1f}", cy=f"{y(curve[-1][1]):.1f}", r="3.5"),
            class_=f"c{place}",
        )
        for place, (name, curve) in enumerate(curves.items())
        if curve
    ]
    label = f"Ratings of {len(drawn)} agents over time, from {min(ratings):.0f} to {max(ratings):.0f}"
    # The best are drawn last, over the others.
    inside = join((*grid, *ticks, *reversed(lines)))
    return element("svg", inside, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=label, class_="chart")


def spark(curve: Curve, place: int, agent: str) -> Markup:
    """One agent's curve, as small as a word; match by match."""
    ratings = [elo for _, elo in curve][-40:]
    if len(ratings) < 2:  # noqa: PLR2004 -- a line has two ends
        return Markup("")
    low, high = min(ratings), max(ratings)
    step, spread_ = 116 / (len(ratings) - 1), max(high - low, 1.0)
    points = " ".join(f"{2 + step * i:.1f},{3 + 22 * (high - elo) / spread_:.1f}" for i, elo in enumerate(ratings))
    label = f"{agent}: the last {len(ratings)} ratings, from {ratings[0]:.0f} to {ratings[-1]:.0f}"
    line = element("polyline", points=points, class_="curve")
    return element("svg", line, viewBox="0 0 120 28", role="img", aria_label=label, class_=f"spark c{place}")


def meter(parts: Sequence[tuple[str, float]], label: str) -> Markup:
    """A bar of 100 units: each part is a class and its length."""
    bars: list[Markup] = []
    at = 0.0
    for name, length in parts:
        bars.append(element("rect", x=f"{at:.2f}", y="0", width=f"{length:.2f}", height="8", class_=name))
        at += length
    return element(
        "svg",
        *bars,
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_="meter",
    )


def spread(durations: Durations, label: str) -> Markup:
    """A histogram: one bar for each bucket, as high as its share."""
    counts: list[int] = []
    before = 0
    for _, cumulative in durations.buckets:
        counts.append(cumulative - before)
        before = cumulative
    counts.append(durations.count - before)
    highest, width = max([*counts, 1]), 240 / len(counts)
    bars: list[Any] = []
    names = [f"up to {_seconds(bound)}" for bound, _ in durations.buckets] + ["longer"]
    for place, (count, name) in enumerate(zip(counts, names, strict=True)):
        height = 40 * count / highest
        if count:
            height = max(height, 2.0)
        bar = element(
            "rect",
            element("title", f"{name}: {count}"),
            x=f"{place * width + 1:.1f}",
            y=f"{44 - height:.1f}",
            width=f"{width - 2:.1f}",
            height=f"{height:.1f}",
            rx="1",
        )
        bars.append(bar)
    base = element("line", x1="0", x2="240", y1="44.5", y2="44.5", class_="grid")
    ends = (
        element("text", _seconds(durations.buckets[0][0]), x="0", y="57", class_="tick"),
        element("text", f"over {_seconds(durations.buckets[-1][0])}", x="240", y="57", class_="tick end"),
    )
    return element("svg", *bars, base, *ends, viewBox="0 0 240 60", role="img", aria_label=label, class_="spread")


def _seconds(bound: float) -> str:
    return f"{bound * 1000:g} ms" if bound < 1 else f"{bound:g} s"


def _marks(low: float, high: float) -> list[float]:
    """Round numbers that enclose both."""
    step = next((each for each in _STEPS if (high - low) / each <= _LINES), None)
    if step is None:
        step = 10 ** len(str(int(high - low)))
    first = int(low // step)
    last = max(int(-(-high // step)), first + 1)
    return [float(step * each) for each in range(first, last + 1)]
