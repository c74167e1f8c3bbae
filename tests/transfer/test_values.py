"""What a SQLite value becomes in a column of ours, rule by rule, and the text that COPY has for it."""

from __future__ import annotations

import json
import math
import struct
from datetime import UTC
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aragora_db.models import (
    ContinuumEmbedding,
    ContinuumMemory,
    CritiquePatternEmbedding,
    Debate,
    DebateResult,
    EloHistory,
    Insight,
    TierTransition,
)
from aragora_db.transfer.rows.converters import ValueRefused, from_sqlite
from aragora_db.transfer.source.snapshot import BrokenText

FLAG, MAYBE = ContinuumMemory.__table__.c.red_line, DebateResult.__table__.c.consensus_reached
COUNT, SOME = ContinuumMemory.__table__.c.update_count, DebateResult.__table__.c.rounds_used
REAL, MAYBE_REAL = EloHistory.__table__.c.elo, DebateResult.__table__.c.confidence
TEXT, MAYBE_TEXT = ContinuumMemory.__table__.c.content, DebateResult.__table__.c.final_answer
KEY, TIER = ContinuumMemory.__table__.c.id, TierTransition.__table__.c.from_tier
JSON, JSON_LIST, MAYBE_JSON = Debate.__table__.c.artifact_json, Debate.__table__.c.agents, Insight.__table__.c.evidence
NOTED, BYTES = ContinuumMemory.__table__.c.metadata, ContinuumMemory.__table__.c.semantic_centroid
MOMENT, VECTOR = ContinuumMemory.__table__.c.created_at, ContinuumEmbedding.__table__.c.embedding
MAYBE_VECTOR = CritiquePatternEmbedding.__table__.c.embedding


def _refusal(value: Any, column: Any) -> str:
    with pytest.raises(ValueRefused) as caught:
        from_sqlite(value, column, UTC)
    return caught.value.reason


# -- the rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "means"), [(0, False), (1, True), (0.0, False), (1.0, True)])
def test_booleans(value, means):
    """SQLite has none: Aragora writes 0 and 1, and a column REAL makes 1.0 of it."""
    assert from_sqlite(value, FLAG, UTC) is means


@pytest.mark.parametrize("value", [2, -1, 0.5, math.inf, "1", "true", b"\x01", ""])
def test_no_booleans(value):
    """A guess at what 2 or 'true' means would be a different flag for somebody."""
    assert _refusal(value, FLAG) == "neither 0 nor 1"


@pytest.mark.parametrize("value", [0, 7, -(2**53), 2**53])
def test_integers_in_real_columns(value):
    """1500 without a point is a rating like any other."""
    found = from_sqlite(value, REAL, UTC)
    assert (type(found), found) == (float, value)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_integers_that_no_double_holds(value):
    """Rounded silently they would come back as another number."""
    assert _refusal(value, REAL) == "a whole number that a double cannot hold exactly"


@pytest.mark.parametrize(("value", "means"), [(3.0, 3), (-0.0, 0), (2.0**53 - 1, 2**53 - 1)])
def test_whole_reals_in_integer_columns(value, means):
    """A count that went through a float is still that count."""
    found = from_sqlite(value, COUNT, UTC)
    assert (type(found), found) == (int, means)


@pytest.mark.parametrize("value", [1.5, 2.0**53, 1e300, math.inf, -math.inf])
def test_other_reals_in_integer_columns(value):
    """From 2^53 on a double stands for several whole numbers, and 1.5 for none."""
    assert _refusal(value, COUNT).startswith("the column takes a whole number")


@pytest.mark.parametrize("value", ["12", "", "1e3", "abc", b"12", b""])
@pytest.mark.parametrize("column", [COUNT, SOME, REAL, MAYBE_REAL])
def test_text_in_number_columns(column, value):
    """What SQLite itself did not read as a number is none."""
    assert "number" in _refusal(value, column)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_reals_without_end(value):
    """No average survives an infinity."""
    assert _refusal(value, MAYBE_REAL).startswith("the column takes a finite number")


@pytest.mark.parametrize(
    ("column", "means"),
    [(COUNT, 0), (FLAG, False), (NOTED, {}), (SOME, None), (MAYBE, None), (MAYBE_REAL, None), (MAYBE_JSON, None)],
)
def test_nothing(column, means):
    """Aragora reads NULL in a counter, a flag or a note as zero, no, or nothing; elsewhere unknown stays unknown."""
    found = from_sqlite(None, column, UTC)
    assert (type(found), found) == (type(means), means)


@pytest.mark.parametrize("column", [KEY, TEXT, REAL, MOMENT, TIER, JSON, JSON_LIST, VECTOR])
def test_nothing_where_something_is_needed(column):
    """A made-up text, rating or time is worse than a row in the rejects file."""
    assert _refusal(None, column) == "NULL where a value is needed"


@pytest.mark.parametrize("value", [5, 1.5, b"text", b""])
@pytest.mark.parametrize("column", [KEY, TEXT, MAYBE_TEXT])
def test_other_kinds_in_text_columns(column, value):
    """Whoever wrote a number or bytes there did not mean their digits."""
    assert _refusal(value, column).startswith("the column takes text")


@pytest.mark.parametrize("column", [TEXT, MAYBE_TEXT, KEY, TIER, MOMENT, JSON, COUNT, BYTES, VECTOR])
def test_text_that_is_not_utf8(column):
    """Repaired, it would be another text, and nobody would ever know."""
    assert _refusal(BrokenText(b"a\xff"), column) == "text that is not UTF-8"


def test_nul_in_text():
    """PostgreSQL cannot hold it, and a C program reads the text only so far."""
    assert "NUL" in _refusal("a\x00b", MAYBE_TEXT)


def test_long_keys():
    """An index takes 1,024 bytes; text that no index holds may be as long as it likes."""
    assert from_sqlite("é" * 512, KEY, UTC) == "é" * 512
    assert _refusal("é" * 512 + "a", KEY) == ("the column takes at most 1024 bytes of UTF-8, because it is indexed")
    assert from_sqlite("é" * 100_000, TEXT, UTC) == "é" * 100_000


@pytest.mark.parametrize("value", ["FAST", "fast ", "", "other", 1, b"fast"])
def test_words_out_of_a_list(value):
    """The CHECK of the table would refuse the whole block."""
    assert _refusal(value, TIER).startswith("the column takes one of fast, medium, slow, glacial")
    assert from_sqlite("fast", TIER, UTC) == "fast"


@pytest.mark.parametrize("value", ["text", "", 1, 1.5])
def test_other_kinds_in_blob_columns(value):
    """Bytes are bytes."""
    assert _refusal(value, BYTES).startswith("the column takes bytes")
    assert from_sqlite(b"", BYTES, UTC) == b""


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),  # duplicate keys: the last, as Python and jsonb have it
        (" [1, 2.50]\n", [1, 2.5]),
        ('"\\ud83d\\ude42"', "🙂"),
        ("[1e16, 9223372036854775807, -0.0, 1e300]", [10**16, 2**63 - 1, 0.0, 1e300]),
        ('["\\u001f\\u007f"]', ["\x1f\x7f"]),
        ("[null]", [None]),
        ("[" * 200 + "]" * 200, json.loads("[" * 200 + "]" * 200)),
    ],
)
def test_json(text, means):
    """What Aragora's own reader would have understood."""
    assert from_sqlite(text, MAYBE_JSON, UTC) == means


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[NaN]", "not JSON: NaN is no JSON number"),
        ('{"a": Infinity}', "not JSON: Infinity is no JSON number"),
        ("-Infinity", "not JSON: -Infinity is no JSON number"),
        ("{'a': 1}", "not JSON"),
        ("[1,]", "not JSON"),
        (" ", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ("1" * 5_000, "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"{}", "JSON is text"),
        (5, "JSON is text"),
        (1.5, "JSON is text"),
    ],
)
def test_no_json(text, reason):
    """The row goes to the rejects file with its bytes; Python's NaN is no JSON, whatever Python writes."""
    assert _refusal(text, MAYBE_JSON) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('["\\u0000"]', "a string holds the character NUL"),
        ('{"\\u0000": 1}', "a string holds the character NUL"),
        ('["\\ud800"]', "a string holds a lone surrogate"),
        ('{"\\udfff": 1}', "a string holds a lone surrogate"),
        ("[9223372036854775808]", "an integer has 64 bits, 64 is the limit"),
        ("[-9223372036854775809]", "an integer has 64 bits, 64 is the limit"),
        ("1" * 4_000, "an integer has 13285 bits, 64 is the limit"),
        ("[1e400]", "inf is no JSON number"),
        ("[" * 201 + "]" * 201, "nested deeper than 200 levels"),
    ],
)
def test_json_that_one_database_would_change(text, reason):
    """One of the two would refuse it, or give back something else: each has a rule of its own."""
    assert f"JSON that both databases keep: {reason}" in _refusal(text, MAYBE_JSON)


@pytest.mark.parametrize("text", ["", "null", " null "])
def test_no_json_at_all(text):
    """What Aragora writes for "nothing" is NULL, or the default where there must be something."""
    assert from_sqlite(text, MAYBE_JSON, UTC) is None
    assert from_sqlite(text, NOTED, UTC) == {}
    assert _refusal(text, JSON) == "NULL where a value is needed"


# -- vectors -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
@example([0.1, -0.0, 1e-45, 3.4028234663852886e38])
def test_vectors(numbers):
    """An embedding that is off in the last bit finds other neighbours."""
    packed = struct.pack(f"<{len(numbers)}f", *numbers)
    found = from_sqlite(packed, VECTOR, UTC)
    assert struct.pack(f"<{len(found)}f", *found) == packed


def test_vectors_arrive(importer, sources):
    """Also the sign of a zero, on both databases and read back by Python."""
    numbers = [0.10000000149011612, -0.0, 0.0, 1e-45, -3.4028234663852886e38, 16777216.0]
    packed = struct.pack(f"<{len(numbers)}f", *numbers)
    sources.write("debate_embeddings.db", sources.script("debate_embeddings"), "DELETE FROM embeddings")
    sources.write(
        "debate_embeddings.db", rows={"embeddings": [("e", "hash", "text", packed, "openai", "2026-01-15 09:30:00")]}
    )
    assert importer().good
    ((found,),) = importer.rows("debate_embeddings", "embedding")
    assert struct.pack(f"<{len(found)}f", *found) == packed


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"abc", "not float32 numbers"),
        ("text", "not float32 numbers"),
        (1.5, "not float32 numbers"),
        (struct.pack("<2f", 1, math.nan), "a number of the vector is not finite"),
        (struct.pack("<f", -math.inf), "a number of the vector is not finite"),
        (b"", "the column takes 1 to 16000 finite numbers"),
        (bytes(4 * 16_001), "the column takes 1 to 16000 finite numbers"),
    ],
)
def test_no_vectors(value, reason):
    """Distances to it would mean nothing."""
    assert _refusal(value, MAYBE_VECTOR) == reason
    assert from_sqlite(None, MAYBE_VECTOR, UTC) is None
