"""Members of a JSON object as numbers. A difference here ranks agents on a laptop and fails in production."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from aragora_db.models import Persona
from aragora_db.sql.json_object import number

NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=4)


def ask(session: Session, value: Any, name: str) -> Any:
    """What the expression says about one value."""
    session.execute(sa.delete(Persona))
    session.execute(sa.insert(Persona), [{"agent_name": "p", "expertise": value}])
    return session.scalar(sa.select(number(Persona.expertise, name)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 0.1}, 0.1),
        ({"a": 1}, 1.0),
        ({"a": -2.5e-7}, -2.5e-7),
        ({"a": 1e300}, 1e300),
        ({"b": 1}, None),
        ({"a": None}, None),
        ({"a": True}, None),
        ({"a": "1"}, None),
        ({"a": [1]}, None),
        ({"a": {"a": 1}}, None),
        ({}, None),
        (None, None),
        ([1], None),
        ("a", None),
        (7, None),
    ],
)
def test_what_a_column_can_hold(scratch: Callable[..., Any], value: Any, expected: Any):
    """Imported rows hold everything; nothing may fail, and what is no number is none."""
    found = scratch(lambda session: ask(session, value, "a"))
    assert found == expected
    assert type(found) is type(expected)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stored=st.dictionaries(NAMES, st.floats(-1, 1), max_size=4), name=NAMES)
def test_any_name(scratch: Callable[..., Any], stored: dict[str, float], name: str):
    """Quotes, dots, brackets and every script: a name is a name, never a path."""
    names = [name, *stored]
    found = scratch(lambda session: [ask(session, stored, wanted) for wanted in names])
    assert found == [stored.get(wanted) for wanted in names]
