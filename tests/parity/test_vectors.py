"""Embeddings: float32 in, the same bits out, on every engine; and nothing that is no vector."""

from __future__ import annotations

import math
from array import array

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aragora_db.errors import InvalidValue
from aragora_db.models import ContinuumEmbedding, ContinuumMemory
from aragora_db.types.vector import MAX_DIMENSIONS

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def through(session, embedding):
    """Write, forget, read."""
    session.execute(sa.delete(ContinuumMemory))
    session.add(ContinuumMemory(id="m", content="c"))
    session.flush()
    session.execute(sa.insert(ContinuumEmbedding), [{"memory_id": "m", "embedding": embedding}])
    return session.scalar(sa.select(ContinuumEmbedding.embedding))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_bits_are_kept(scratch, numbers):
    """One bit lost for each vector moves the ranking of a search."""
    assert scratch(lambda session: through(session, numbers)).tobytes() == array("f", numbers).tobytes()


def test_the_edges_of_float32(scratch):
    """The sign of zero, the smallest numbers and the largest are those that texts lose."""
    smallest, normal, largest = 2.0**-149, 2.0**-126, (2 - 2.0**-23) * 2.0**127
    edges = [0.0, -0.0, smallest, -smallest, normal - smallest, normal, largest, -largest, 1 / 3, 1 + 2.0**-23]
    back = scratch(lambda session: through(session, edges))
    assert back.tobytes() == array("f", edges).tobytes()
    assert math.copysign(1, back[1]) == -1


def test_any_sequence_of_numbers(scratch):
    """Lists, tuples, arrays and whatever NumPy gives to iterate over; doubles are rounded to float32."""
    for given_ in ([1, 2.5], (1.0, 2.5), array("d", [1.0, 2.5]), iter([1.0, 2.5])):
        assert scratch(lambda session, given_=given_: through(session, given_)) == array("f", [1.0, 2.5])
    assert scratch(lambda session: through(session, [0.1])) == array("f", [0.1])
    assert len(scratch(lambda session: through(session, [0.5] * MAX_DIMENSIONS))) == MAX_DIMENSIONS


@pytest.mark.parametrize(
    "bad",
    [[], [math.nan], [math.inf], [1e39], ["1"], "text", b"bytes\x00", 1.0, [0.5] * (MAX_DIMENSIONS + 1)],
    ids=lambda bad: str(bad)[:12],
)
def test_what_is_no_vector(both, bad):
    """Refused before it is sent, by both databases alike."""
    for database in both.values():
        with pytest.raises(InvalidValue, match=r"continuum_embeddings\.embedding takes"):
            database.transact(lambda session: through(session, bad))
