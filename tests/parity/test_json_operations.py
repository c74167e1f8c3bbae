"""Fields of a JSON value are read and compared alike on every engine."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from aragora_db.models import ContinuumMemory

DOCUMENT = {
    "name": "Zoë 🙂",
    "empty": "",
    "count": 12,
    "negative": -3,
    "share": 0.25,
    "yes": True,
    "no": False,
    "nothing": None,
    "tags": ["a", "b"],
    "nested": {"deep": {"value": 7, "list": [1, {"x": "y", "flag": True}]}},
    "with space": 1,
    "quote's": 2,
    "ключ": 3,
    "$.x": 4,
    "": 5,
    "1": 6,
}

FIELD = ContinuumMemory.metadata_

VALUES = [
    *((FIELD[key], value) for key, value in DOCUMENT.items() if not isinstance(value, bool)),
    (FIELD["name"].as_string(), "Zoë 🙂"),
    (FIELD["empty"].as_string(), ""),
    (FIELD["nothing"].as_string(), None),
    (FIELD["missing"].as_string(), None),
    (FIELD["count"].as_integer(), 12),
    (FIELD["negative"].as_integer(), -3),
    (FIELD["missing"].as_integer(), None),
    (FIELD["share"].as_float(), 0.25),
    (FIELD["count"].as_float(), 12.0),
    (FIELD["yes"].as_boolean(), True),
    (FIELD["no"].as_boolean(), False),
    (FIELD["nothing"].as_boolean(), None),
    (FIELD["nested"]["deep"]["value"].as_integer(), 7),
    (FIELD[("nested", "deep", "value")].as_integer(), 7),
    (FIELD[("nested", "deep", "list", 1, "x")].as_string(), "y"),
    (FIELD["tags"][1].as_string(), "b"),
    (FIELD["tags"][2].as_string(), None),
    (FIELD[("tags",)], ["a", "b"]),
    (FIELD["nested"]["deep"]["list"], [1, {"x": "y", "flag": True}]),
    (FIELD["missing"], None),
]

CONDITIONS = [
    (FIELD["name"].as_string() == "Zoë 🙂", True),
    (FIELD["name"].as_string() == "zoë 🙂", False),
    (FIELD["count"].as_integer() > 9, True),
    (FIELD["count"].as_integer().between(12, 13), True),
    (FIELD["share"].as_float() < 0.3, True),
    (FIELD["yes"].as_boolean() == sa.true(), True),
    (FIELD["no"].as_boolean() == sa.true(), False),
    (FIELD["no"].as_boolean() == sa.false(), True),
    (FIELD["nothing"].as_string().is_(None), True),
    (FIELD["missing"].as_string().is_(None), True),
    (FIELD["empty"].as_string().is_not(None), True),
    (FIELD[("nested", "deep", "value")].as_integer().in_([6, 7]), True),
    (sa.and_(FIELD["count"].as_integer() == 12, FIELD["share"].as_float() == 0.25), True),
]


@pytest.fixture
def ask(scratch):
    """The answers to queries on one memory that holds the document."""

    def run(queries):
        def work(session):
            session.add(ContinuumMemory(id="m", content="", metadata_=DOCUMENT))
            session.flush()
            return [session.scalars(query).one_or_none() for query in queries]

        return scratch(work)

    return run


def test_values(ask):
    """A field read as a type has that type (a boolean through `as_boolean()` only); what is missing is None."""
    found = ask(sa.select(expression) for expression, _ in VALUES)
    assert found == [expected for _, expected in VALUES]
    assert [type(value) for value in found] == [type(expected) for _, expected in VALUES]


def test_conditions(ask):
    """A filter on a field finds the same rows."""
    ids = ask(sa.select(ContinuumMemory.id).where(condition) for condition, _ in CONDITIONS)
    found = [found_id == "m" for found_id in ids]
    assert found == [expected for _, expected in CONDITIONS]


def test_null_inside(database):
    """None is no value at all; a null inside a value stays inside."""
    database.run(lambda s: s.add(ContinuumMemory(id="n", content="", metadata_=[None])))
    assert database.run(lambda s: s.get_one(ContinuumMemory, "n").metadata_) == [None]
    query = sa.select(sa.func.count()).where(FIELD.is_(None))
    assert database.run(lambda s: s.scalar(query)) == 0
