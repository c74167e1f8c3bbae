"""Brier scores, buckets and what follows from them. A mistake here calls an agent honest that is not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.rules import calibration as rules
from aragora_db.rules.calibration import Tally

SHARES = st.floats(0, 1)
TALLIES = st.integers(0, 200).flatmap(
    lambda n: st.builds(Tally, st.just(n), st.integers(0, n), st.floats(0, max(n, 0)))
)


@pytest.mark.parametrize(
    ("confidence", "correct", "score"), [(1.0, True, 0.0), (1.0, False, 1.0), (0.7, True, 0.09), (0.7, False, 0.49)]
)
def test_brier_score(confidence: float, correct: bool, score: float):
    """Sure and right costs nothing, sure and wrong costs most."""
    assert rules.brier_score(confidence, correct=correct) == pytest.approx(score)


def test_buckets():
    """Eleven keys, as real files have them: another spelling would begin a second curve."""
    assert list(rules.BUCKETS) == [
        *("0.0-0.1", "0.1-0.2", "0.2-0.3", "0.3-0.4", "0.4-0.5", "0.5-0.6"),
        *("0.6-0.7", "0.7-0.8", "0.8-0.9", "0.9-1.0", "1.0-1.0"),
    ]


@pytest.mark.parametrize(
    ("confidence", "key"),
    [
        (0.0, "0.0-0.1"),
        (0.05, "0.0-0.1"),
        (0.7, "0.7-0.8"),
        (0.3, "0.3-0.4"),
        (3 * 0.1, "0.3-0.4"),
        (1 - 0.9, "0.1-0.2"),
        (1 - 0.7, "0.3-0.4"),
        (0.8 - 0.1, "0.7-0.8"),
        (sum([0.1] * 10), "1.0-1.0"),
        (sum([0.1] * 8), "0.8-0.9"),
        (0.7999, "0.7-0.8"),
        (0.999999999, "0.9-1.0"),
        (1.0, "1.0-1.0"),
        (math.nextafter(1.0, 0.0), "1.0-1.0"),
    ],
)
def test_bucket_keys(confidence: float, key: str):
    """The bucket that people expect, however the number was computed."""
    assert rules.bucket_key(confidence) == key


@given(SHARES)
def test_every_confidence_has_its_bucket(confidence: float):
    """Within the bucket's limits, but for rounding."""
    low, high = rules.BUCKETS[rules.bucket_key(confidence)]
    assert low - 1e-9 <= confidence <= high + 1e-9


@pytest.mark.parametrize(
    ("tally", "score", "domain"),
    [
        (Tally(0, 0, 0.0), 0.0, 0.0),
        (Tally(4, 4, 0.0), 0.0, 0.0),
        (Tally(5, 5, 0.0), 0.0, 0.5),
        (Tally(9, 9, 0.0), 0.0, 0.6),
        (Tally(10, 5, 2.0), 0.8 * 0.5, 0.8 * 0.625),
        (Tally(30, 5, 3.0), 0.9 * 0.75, 0.9),
        (Tally(50, 5, 25.0), 0.5, 0.5),
        (Tally(500, 5, 500.0), 0.0, 0.0),
    ],
)
def test_scores(tally: Tally, score: float, domain: float):
    """Nothing below the minimum, half the weight at it, all of it after forty (or twenty) more."""
    assert rules.calibration_score(tally) == pytest.approx(score)
    assert rules.domain_score(tally) == pytest.approx(domain)


@given(TALLIES)
def test_scores_stay_in_range(tally: Tally):
    """Never below 0 nor above 1."""
    for score in (rules.calibration_score(tally), rules.domain_score(tally)):
        assert 0 <= score <= 1


def test_expected_calibration_error():
    """Weighted by predictions; a bucket nobody knows is left out; nothing is known without predictions."""
    buckets = {"0.7-0.8": Tally(4, 3, 9.0), "0.1-0.2": Tally(4, 1, 9.0), "1.0-1.0": Tally(2, 1, 9.0)}
    expected = 0.4 * 0.0 + 0.4 * 0.1 + 0.2 * 0.5
    assert rules.expected_calibration_error(buckets) == pytest.approx(expected)
    assert rules.expected_calibration_error(buckets | {"7-8": Tally(1000, 0, 0.0)}) == pytest.approx(expected)
    assert rules.expected_calibration_error({}) is None
    assert rules.expected_calibration_error({"0.7-0.8": Tally(0, 0, 0.0)}) is None


@given(st.dictionaries(st.sampled_from(list(rules.BUCKETS)), TALLIES))
def test_error_stays_in_range(buckets: dict[str, Tally]):
    """0 to 1, and the same whatever the order of the buckets."""
    error = rules.expected_calibration_error(buckets)
    assert error is None or 0 <= error <= 1 + 1e-9
    assert error == rules.expected_calibration_error(dict(reversed(buckets.items())))


@pytest.mark.parametrize(
    ("ece", "brier", "factor"),
    [
        (0.0, 0.0, 1.0),
        (0.1, 0.09, 1.0),
        (0.1, 0.11, 1.1),
        (0.5, 0.0, 1.25),
        (0.25, 0.25, 1.25),
        (0.3, 0.31, 1.4),
        (1.0, 1.0, 1.4),
        (None, 0.15, 1.1),
        (0.05, None, 1.0),
        (0.3, None, 1.4),
        (None, None, 1.0),
    ],
)
def test_k_multiplier(ece: float | None, brier: float | None, factor: float):
    """Four steps; one signal alone decides when the other is not known."""
    assert rules.k_multiplier(ece, brier) == factor


@given(st.none() | SHARES, st.none() | SHARES)
def test_k_multiplier_steps(ece: float | None, brier: float | None):
    """Never anything else than the four steps, and never less for being worse."""
    factor = rules.k_multiplier(ece, brier)
    assert factor in {1.0, 1.1, 1.25, 1.4}
    if brier is not None:
        assert rules.k_multiplier(ece, min(1.0, brier + 0.1)) >= factor
