"""The address of a debate and the weight of a vote. Addresses are sent around: they must be readable and stay so."""

from __future__ import annotations

import math
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.rules.debates import SLUG_WORDS, slug, vote_weight
from aragora_db.types import KEY_BYTES

DAY = date(2026, 11, 22)
SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        # The first four as they stand in Aragora's own debates.db.
        ("Verify a audit log for quorum of replica", "verify-audit-log-quorum"),
        ("Harden a consensus protocol for when throughput shard é", "harden-consensus-protocol-when"),
        ("Design a rate limiter for should auth quorum 漢字テスト", "rate-limiter-should-auth"),
        ("Scale a webhook for timeout p99 when é", "scale-webhook-timeout-p99"),
        ("Cache, cache or CACHE: retry?", "cache-retry"),
        ("Naïve CAFÉ Straße", "naive-cafe-strasse"),
        ("ﬁne ½", "fine-1-2"),
        ("snake_case gpt-4", "snakecase-gpt-4"),
        ("漢字テスト", "debate"),
        ("what is it?", "debate"),
        ("漢字 quorum", "quorum"),
        ("", "debate"),
    ],
)
def test_slugs_by_hand(task, words):
    """A slug that differs from what people know from Aragora is not found again by guessing."""
    assert slug(task, DAY) == f"{words}-2026-11-22"


@given(st.text(), st.dates())
def test_slugs_are_plain_and_short(task, day):
    """A slug goes into a URL and into an indexed column: nothing to escape, and never too long."""
    found = slug(task, day)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", found)
    assert found.endswith(f"-{day.isoformat()}")
    assert 1 <= found.removesuffix(f"-{day.isoformat()}").count("-") + 1 <= SLUG_WORDS
    assert len(found.encode()) < KEY_BYTES - 20


def test_the_longest_words_leave_room_for_a_number():
    """A slug that fills its column would make the second debate of a task impossible."""
    assert len(slug(" ".join(letter * 500 for letter in "abcde"), DAY)) < KEY_BYTES / 2


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ((0.5, 0.5, 0.5), 1.0),
        ((1.0, 1.0, 0.5), 1.5),
        ((1.0, 1.0, 1.0), 1.6),
        ((0.0, 0.0, 0.5), 0.5),
        ((0.0, 0.0, 0.0), 0.4),
        ((0.25, 0.75, 0.9), 0.5 + 0.15 + 0.3 + 0.08),
        ((1.0, 0.0), 1.1),
        ((0.0, 1.0), 0.9),
    ],
)
def test_weights_by_hand(given_, expected):
    """A vote that weighs otherwise than in Aragora decides debates otherwise."""
    assert vote_weight(*given_) == pytest.approx(expected)


@given(SHARES, SHARES, SHARES, SHARES)
def test_weights_grow_with_each_part(acceptance, quality, calibration, better):
    """An agent must never lose weight by getting better."""
    weight = vote_weight(acceptance, quality, calibration)
    assert 0.4 <= weight <= 1.6
    assert vote_weight(max(acceptance, better), quality, calibration) >= weight
    assert vote_weight(acceptance, max(quality, better), calibration) >= weight
    assert vote_weight(acceptance, quality, max(calibration, better)) >= weight


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_weights_stay_in_range(acceptance, calibration):
    """Statistics of a young agent can be anything; its vote is never silenced and never decides alone."""
    weight = vote_weight(acceptance, 0.5, calibration)
    assert math.isnan(weight) or 0.4 <= weight <= 1.6
