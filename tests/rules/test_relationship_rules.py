"""Who is whose rival. A mistake here seats the wrong agents at one table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.rules.relationships import RelationshipKind, RelationshipMetrics, metrics

COUNTS = st.integers(0, 60)


def measured(debates: int = 0, agreements: int = 0, *others: int) -> RelationshipMetrics:
    """RelationshipMetrics of counts in the order of the arguments; what is missing is zero."""
    critiques, accepted, wins, losses = (*others, 0, 0, 0, 0)[:4]
    return metrics(
        debates=debates, agreements=agreements, critiques=critiques, accepted=accepted, wins=wins, losses=losses
    )


@pytest.mark.parametrize(
    ("counts", "rivalry", "alliance", "kind"),
    [
        ((0, 5, 5, 5, 5, 5), 0.0, 0.0, "no_history"),
        ((20, 0, 0, 0, 5, 5), 1.0, 0.0 + 0.15 + 0.0, "rival"),
        ((1, 1), 0.015 + 0.15, 0.75, "ally"),
        ((2, 0), 0.03 + 0.4 + 0.15, 0.25, "acquaintance"),
        ((3, 0), 0.045 + 0.4 + 0.15, 0.25, "neutral"),
        ((4, 0), 0.06 + 0.4 + 0.15, 0.25, "rival"),
        ((10, 10, 4, 1, 1, 1), 0.15 + 0.3, 0.5 + 0.125, "ally"),
        ((10, 10, 4, 1, 2, 1), 0.15 + 0.15, 0.5 + 0.075 + 0.1, "ally"),
        ((40, 16, 10, 5, 3, 0), 0.3 + 0.24, 0.2 + 0.15 + 0.2, "neutral"),
    ],
)
def test_by_hand(counts: tuple[int, ...], rivalry: float, alliance: float, kind: str):
    """Every branch: without wins or critiques one half, a third win that changes the formula, the limit of 0.6."""
    found = measured(*counts)
    assert found.rivalry == pytest.approx(rivalry)
    assert found.alliance == pytest.approx(alliance)
    assert found.kind == kind


@given(st.tuples(*[COUNTS] * 6))
def test_properties(counts: Any):
    """Scores stay between 0 and 1 whatever was counted, and both agents see the same."""
    debates, agreements, critiques, accepted, wins, losses = counts
    found = measured(*counts)
    assert found == measured(debates, agreements, critiques, accepted, losses, wins)
    assert -1e-9 <= found.rivalry <= 1 + 1e-9
    assert -1e-9 <= found.alliance <= 1 + 1e-9
    assert 0 <= found.agreement_rate <= 1
    assert (found.kind is RelationshipKind.NO_HISTORY) == (debates == 0)
    if found.kind is RelationshipKind.RIVAL:
        assert found.rivalry > max(0.6, found.alliance)
    if found.kind is RelationshipKind.ALLY:
        assert found.alliance > max(0.6, found.rivalry)
