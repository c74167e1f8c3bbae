"""Arrays of texts inside a column. A difference here is a list that grows on a laptop and not in production."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from aragora_db.models import Population
from aragora_db.sql.json_array import any_contains, appended_once, has

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=4)
COLUMN = Population.debate_history


def ask(session: Session, value: Any, text: str) -> tuple[Any, ...]:
    """What the three expressions say about one value."""
    session.execute(sa.delete(Population))
    session.execute(sa.insert(Population), [{"population_id": "p", "debate_history": value}])
    said = session.execute(sa.select(has(COLUMN, text), any_contains(COLUMN, text, ignore_case=True))).one()
    session.execute(sa.update(Population).values(debate_history=appended_once(COLUMN, text)))
    return tuple(map(bool, said)), session.scalar(sa.select(COLUMN))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ((False, False), ["a"])),
        ([], ((False, False), ["a"])),
        (["a"], ((True, True), ["a"])),
        (["bAb"], ((False, True), ["bAb", "a"])),
        (["a", 1, None, True], ((True, True), ["a", 1, None, True])),
        ([["a"]], ((False, True), [["a"], "a"])),
        ({"a": "a"}, ((False, False), {"a": "a"})),
        ("a", ((False, False), "a")),
        (7, ((False, False), 7)),
    ],
)
def test_what_a_column_can_hold(scratch: Any, value: Any, expected: Any):
    """Imported rows hold NULL and things that are no array; those must neither fail nor be destroyed."""
    assert scratch(lambda session: ask(session, value, "a")) == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, max_size=4), text=TEXTS)
def test_any_text(scratch: Any, texts: list[str], text: str):
    """Quotes, backslashes and every script: an element is found again and added once."""
    (found, _), after = scratch(lambda session: ask(session, texts, text))
    assert found == (text in texts)
    assert after == (texts if text in texts else [*texts, text])
