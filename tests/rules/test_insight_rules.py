"""What is learned from a debate. A mistake here weighs a pattern wrongly, or gives two insights one id."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.rules.insights import InsightType, Occurrences, gather, insight_ids, merged

OCCURRENCES = st.builds(Occurrences, st.integers(1, 1000), st.floats(0, 1))


def test_ids_as_in_aragoras_file():
    """The same debate gives the same ids as Aragora: an import and a new record do not double."""
    types = ["dissent", "pattern", "pattern", "failure_mode"]
    assert insight_ids("d", types) == ["d_dissent_0", "d_pattern_0", "d_pattern_1", "d_failure_mode_0"]


def test_one_more_occurrence():
    """The documented formula: (avg * n + x) / (n + 1)."""
    assert merged(Occurrences(3, 0.5), Occurrences(1, 0.9)) == (4, pytest.approx((0.5 * 3 + 0.9) / 4))


@given(OCCURRENCES, OCCURRENCES)
def test_merging_has_no_order(one, other):
    """Two debates recorded at the same time: whichever is first, the pattern weighs the same, within 0 to 1."""
    a, b = merged(one, other), merged(other, one)
    assert a.times == b.times == one.times + other.times
    assert math.isclose(a.severity, b.severity, abs_tol=1e-12)
    assert -1e-12 <= a.severity <= 1 + 1e-12


def test_gathering():
    """Sorted, so that two transactions lock in the same order; a pattern that is named twice counts twice."""
    found = gather([("b", "x", 0.2), ("a", "y", 1.0), ("b", "x", 0.4)])
    assert list(found) == [("a", "y"), ("b", "x")]
    assert found["b", "x"] == (2, pytest.approx(0.3))
    assert gather([]) == {}


def test_the_types_of_aragora():
    """A type that is missing here could not be recorded any more."""
    assert set(InsightType) == {
        "consensus",
        "dissent",
        "pattern",
        "convergence",
        "agent_perf",
        "failure_mode",
        "decision",
    }
