"""Seconds from samples, and positions as numbers."""

from __future__ import annotations

import pytest

from aragora_db.errors import InvalidValue
from aragora_db.replicas.lag import LsnHistory
from aragora_db.replicas.lsn import end_of_record, format_lsn, parse_lsn

PAGE, SEGMENT = 8192, 16 << 20


def test_lag_is_the_age_of_what_is_missing():
    """Lag would be guessed from clocks, or be shown for an idle primary."""
    history = LsnHistory(keep=10)
    assert history.seconds_behind(100, now=0.0) is None
    for second, position in enumerate([100, 100, 200, 300]):
        history.add(float(second), position, position)
    assert history.seconds_behind(99, now=4.0) is None, "behind all that is known"
    assert history.seconds_behind(100, now=4.0) == 2.0
    assert history.seconds_behind(250, now=4.0) == 1.0
    assert history.seconds_behind(300, now=4000.0) == 0.0, "an idle primary's replica is not behind"


def test_a_write_is_before_the_first_sample_after_it():
    """A reader would wait for what others wrote later, or not long enough for its own write."""
    history = LsnHistory(keep=10)
    for second, position in enumerate([100, 200, 300]):
        history.add(float(second), position, position + 5)
    assert history.commit_lsn_at(0.5) == 205
    assert history.commit_lsn_at(1.0) == 305
    assert history.commit_lsn_at(2.0) is None


def test_old_samples_are_forgotten():
    """The history would grow for ever, and a replica that is days behind would seem to be known."""
    history = LsnHistory(keep=10)
    for second in range(100):
        history.add(float(second), second * 10, second * 10)
    assert history.seconds_behind(880, now=99.0) is None
    assert history.seconds_behind(900, now=99.0) == 8.0


def test_a_primary_that_went_back_is_another_one():
    """After a failover that lost the end of the log, every replica would seem behind until the log is as long again."""
    history = LsnHistory(keep=10)
    history.add(1.0, 500, 500)
    history.add(2.0, 400, 400)
    assert history.seconds_behind(400, now=3.0) == 0.0


@pytest.mark.parametrize(
    ("text", "number"), [("0/0", 0), ("16/B374D848", 0x16_B374D848), ("FFFFFFFF/1", 0xFFFFFFFF_00000001)]
)
def test_positions_are_read_and_written_as_postgresql_does(text: str, number: int):
    """A position handed to another process would mean another place."""
    assert parse_lsn(text) == number
    assert format_lsn(number) == text


@pytest.mark.parametrize("text", ["", "0", "0/", "1/2/3", "0/1 ", "0/G", "123456789/0", "-1/2"])
def test_other_texts_are_refused(text: str):
    """A cookie that somebody made up would end as an error of the database."""
    with pytest.raises(InvalidValue, match=r"write_position\(\)"):
        parse_lsn(text)


@pytest.mark.parametrize(
    ("inserted", "ends"),
    [
        (5 * PAGE + 24, 5 * PAGE),
        (5 * PAGE + 40, 5 * PAGE + 40),
        (SEGMENT + 40, SEGMENT),
        (5 * PAGE + 32, 5 * PAGE + 32),
        (5 * PAGE, 5 * PAGE),
    ],
)
def test_a_pages_header_is_nothing_to_wait_for(inserted: int, ends: int):
    """One time in a thousand a reader on an idle primary would wait in vain for bytes that come with the next write."""
    assert end_of_record(inserted, PAGE, SEGMENT) == ends
