"""Which instant a timestamp of Aragora's means, form by form."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.transfer.rows.times import MILLISECONDS_FROM, instant

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def _utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        # Python's datetime.now().isoformat(): the writer's local time, here Berlin's
        ("2026-01-15T09:30:00.123456", _utc(2026, 1, 15, 8, 30, 0, 123_456)),
        ("2026-07-15T09:30:00", _utc(2026, 7, 15, 7, 30)),
        ("2026-01-15T09:30", _utc(2026, 1, 15, 8, 30)),
        ("2026-01-15T09:30:00.5", _utc(2026, 1, 15, 8, 30, 0, 500_000)),
        ("2026-01-15T00:30:00", _utc(2026, 1, 14, 23, 30)),
        # SQLite's CURRENT_TIMESTAMP: UTC
        ("2026-01-15 09:30:00", _utc(2026, 1, 15, 9, 30)),
        ("2026-07-15 09:30:00", _utc(2026, 7, 15, 9, 30)),
        ("2026-01-15 09:30", _utc(2026, 1, 15, 9, 30)),
        ("2026-01-15 09:30:00.000120", _utc(2026, 1, 15, 9, 30, 0, 120)),
        ("2026-01-15 09:30:00.123456000", _utc(2026, 1, 15, 9, 30, 0, 123_456)),
        # a date alone: its midnight in UTC
        ("2026-07-15", _utc(2026, 7, 15)),
        # an offset: what it says, with either separator
        ("2026-01-15T09:30:00Z", _utc(2026, 1, 15, 9, 30)),
        ("2026-01-15 09:30:00Z", _utc(2026, 1, 15, 9, 30)),
        ("2026-01-15T09:30:00+02:00", _utc(2026, 1, 15, 7, 30)),
        ("2026-01-15 09:30:00.000000+00:00", _utc(2026, 1, 15, 9, 30)),
        ("2026-01-15T09:30:00-05:30", _utc(2026, 1, 15, 15, 0)),
        ("2026-01-15T09:30:00+0200", _utc(2026, 1, 15, 7, 30)),
        ("2026-01-15 09:30:00 +02", _utc(2026, 1, 15, 7, 30)),
        ("1883-11-18T12:00:00-04:56:02", _utc(1883, 11, 18, 16, 56, 2)),
        # the ends of the calendar
        ("0001-01-01 00:00:00", _utc(1, 1, 1)),
        ("9999-12-31 23:59:59.999999", _utc(9999, 12, 31, 23, 59, 59, 999_999)),
    ],
)
def test_texts(text, means):
    """Read in another zone, a year's memories are hours off, and those of an evening on another day."""
    assert instant(text, BERLIN) == means
    assert instant(text, BERLIN).tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "means"),
    [
        (1_768_469_400, _utc(2026, 1, 15, 9, 30)),
        (1_768_469_400.25, _utc(2026, 1, 15, 9, 30, 0, 250_000)),
        ("1768469400", _utc(2026, 1, 15, 9, 30)),
        ("1768469400.123456", _utc(2026, 1, 15, 9, 30, 0, 123_456)),
        (0, _utc(1970, 1, 1)),
        (-1.5, _utc(1969, 12, 31, 23, 59, 58, 500_000)),
        (-62_135_596_800, _utc(1, 1, 1)),
        (99_999_999_999, _utc(5138, 11, 16, 9, 46, 39)),
    ],
)
def test_unix_seconds(value, means):
    """`time.time()` says UTC, wherever it is called."""
    assert instant(value, BERLIN) == means == instant(value, NEW_YORK)


@pytest.mark.parametrize(
    ("text", "zone", "means"),
    [
        # the hour that the end of summer time repeats: the first of the two
        ("2026-10-25T01:59:59", BERLIN, _utc(2026, 10, 24, 23, 59, 59)),
        ("2026-10-25T02:30:00", BERLIN, _utc(2026, 10, 25, 0, 30)),
        ("2026-10-25T03:00:00", BERLIN, _utc(2026, 10, 25, 2, 0)),
        ("2026-11-01T01:30:00", NEW_YORK, _utc(2026, 11, 1, 5, 30)),
        ("2026-11-01T02:00:00", NEW_YORK, _utc(2026, 11, 1, 7, 0)),
        # the hour that its beginning skips: as if the clocks had not been changed yet
        ("2026-03-29T01:59:59", BERLIN, _utc(2026, 3, 29, 0, 59, 59)),
        ("2026-03-29T02:30:00", BERLIN, _utc(2026, 3, 29, 1, 30)),
        ("2026-03-29T03:30:00", BERLIN, _utc(2026, 3, 29, 1, 30)),
        ("2026-03-08T02:30:00", NEW_YORK, _utc(2026, 3, 8, 7, 30)),
        # UTC knows neither
        ("2026-10-25 02:30:00", BERLIN, _utc(2026, 10, 25, 2, 30)),
        ("2026-03-29 02:30:00", BERLIN, _utc(2026, 3, 29, 2, 30)),
    ],
)
def test_when_the_clocks_change(text, zone, means):
    """Twice a year a local time is no time, or two: the rule must be the same for every row and every run."""
    assert instant(text, zone) == means


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *[(text, "no timestamp") for text in ("", " ", "now", "yesterday", "NULL", "2026", "2026-1-5", "15.01.2026")],
        *[(text, "no timestamp") for text in ("2026-01-15t09:30:00", "2026-01-15\t09:30:00", " 2026-01-15 09:30:00")],
        *[
            (text, "no timestamp")
            for text in ("2026-01-15T09:30:00 Europe/Berlin", "2026-01-15 09:30:00\n", "20260115")
        ],
        *[
            (text, "no timestamp")
            for text in ("2026-01-15T09", "2026-01-15 9:30:00", "2026-01-15 09:30:00.", "12345678")
        ],
        *[
            (text, "no timestamp")
            for text in ("2026-01-15 09:30:00.1234567", "\u0662\u0660\u0662\u0666-01-15", "-1768469400")
        ],
        *[(text, "no timestamp") for text in ("2026-01-15 09:30:00\x00", "1768469400s", "1e9", "176846940012")],
        ("2026-02-30 00:00:00", "no day or time of the calendar"),
        ("2026-02-29T09:30:00", "no day or time of the calendar"),
        ("2026-13-01", "no day or time of the calendar"),
        ("0000-01-01 00:00:00", "no day or time of the calendar"),
        ("2026-01-15 24:00:00", "no day or time of the calendar"),
        ("2026-01-15 23:59:60", "no day or time of the calendar"),
        ("0001-01-01T00:00:00+01:00", "no day or time of the calendar"),
        ("9999-12-31T23:59:59-01:00", "no day or time of the calendar"),
        ("0001-01-01T00:00:00", "no day or time of the calendar"),  # in Berlin, where it was later already
        ("2026-01-15T09:30:00+24:00", "no offset of a time zone"),
        ("2026-01-15T09:30:00-99", "no offset of a time zone"),
        (math.nan, "not a finite number of seconds"),
        (math.inf, "not a finite number of seconds"),
        (1_768_469_400_000, "too many seconds since 1970: are these milliseconds?"),
        (-1e11, "too many seconds since 1970: are these milliseconds?"),
        (1e300, "too many seconds since 1970: are these milliseconds?"),
        ("99999999999.9999999", "too many seconds since 1970: are these milliseconds?"),
        (-62_135_596_801, "before the year 1"),
        (-99_999_999_999, "before the year 1"),
        (b"2026-01-15 09:30:00", "neither a text nor a number"),
        (b"", "neither a text nor a number"),
    ],
)
def test_refused(value, reason):
    """A guess would be an instant like any other; a refusal is a line in the rejects file."""
    with pytest.raises(ValueError, match=f"^{reason.replace('?', '[?]')}$"):
        instant(value, BERLIN)


@given(st.text() | st.integers() | st.floats() | st.text("0123456789-:T +Z.", max_size=33))
def test_anything(value):
    """Whatever it is, it is an instant or refused; an OverflowError in one row would end the table."""
    with suppress(ValueError):
        assert instant(value, BERLIN).tzinfo is UTC


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.sampled_from([BERLIN, NEW_YORK, UTC]))  # noqa: DTZ001
def test_local_times(clock, zone):
    """Python wrote it, and Python's own rules say which instant that was."""
    assert instant(clock.isoformat(), zone) == clock.replace(tzinfo=zone)


@given(st.floats(-6e10, MILLISECONDS_FROM, exclude_max=True))
def test_any_seconds(seconds):
    """To the microsecond, rounded as Python rounds them."""
    assert instant(seconds, BERLIN) == _utc(1970, 1, 1) + timedelta(seconds=seconds)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_both_kinds_in_one_column(importer, sources, zone):
    """Aragora's INSERT writes local time and the column's default UTC: a column holds both, and must sort right."""
    hour = {"UTC": 0, "Europe/Berlin": -1}[zone]
    written: list[Any] = ["2026-01-15T09:30:00.000001", "2026-01-15 09:30:00", "2026-01-15T09:30:00+02:00"]
    written += ["2026-01-15T09:30:00Z", 1_768_469_400, 1_768_469_400.5, "1768469400", "2026-01-15", "2026-01-15T00:00"]
    columns = "id INTEGER PRIMARY KEY, agent_name, elo, created_at"
    rows = [(number, "a", 1500.0, each) for number, each in enumerate(written)]
    sources.write("agent_elo.db", f"CREATE TABLE elo_history ({columns})", rows={"elo_history": rows})
    assert importer(timezone=zone).good
    half_past_nine = _utc(2026, 1, 15, 9, 30)
    assert importer.rows("elo_history", "id", "created_at") == list(
        enumerate(
            [
                half_past_nine + timedelta(hours=hour, microseconds=1),
                half_past_nine,
                half_past_nine - timedelta(hours=2),
                *[half_past_nine] * 2,
                half_past_nine + timedelta(milliseconds=500),
                half_past_nine,
                _utc(2026, 1, 15),
                _utc(2026, 1, 15) + timedelta(hours=hour),
            ]
        )
    )
