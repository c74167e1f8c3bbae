"""`contains` and `starts_with` are Python's ``in`` and ``startswith`` on every engine, where LIKE differs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aragora_db.errors import InvalidValue
from aragora_db.models import ContinuumMemory, EloHistory
from aragora_db.sql.text import contains, starts_with
from aragora_db.types import Text

NOW = datetime(2026, 1, 15, tzinfo=UTC)

# Letters whose case only some databases fold, LIKE's own characters, and both sides of the gap of the surrogates.
ALPHABET = "aAbBkzäÄßẞ\u0131İ\u017f\u212a%_\\'\"* \ud7ff\ue000\uffff🙂\U0010ffff"
TEXTS = st.text(ALPHABET, max_size=6)


def _ascii(text: str) -> str:
    return text.encode().lower().decode()


def _expected(text: str, wanted: str) -> dict[str, bool]:
    return {
        "contains": wanted in text,
        "ignoring_case": _ascii(wanted) in _ascii(text),
        "starts": text.startswith(wanted),
    }


def _query(expression: Any, wanted: str) -> sa.Select[Any]:
    return sa.select(
        contains(expression, wanted).label("contains"),
        contains(expression, wanted, ignore_case=True).label("ignoring_case"),
        starts_with(expression, wanted).label("starts"),
    )


@given(text=TEXTS, wanted=TEXTS)
@settings(max_examples=100, deadline=None)
def test_like_python(both, text, wanted):
    """A search that finds other rows in production than on the laptop is a bug that no test on a laptop shows."""
    for database in both.values():
        with database.session(read_only=True) as session:
            found = session.execute(_query(sa.literal(text, Text()), wanted)).mappings().one()
        assert {name: bool(value) for name, value in found.items()} == _expected(text, wanted)


@given(prefix=TEXTS, rest=TEXTS)
@settings(max_examples=50, deadline=None)
def test_every_beginning(both, prefix, rest):
    """The end of the range must lie behind every text with the prefix, whatever its last character is."""
    for database in both.values():
        with database.session(read_only=True) as session:
            assert session.scalar(sa.select(starts_with(sa.literal(prefix + rest, Text()), prefix)))


TAGS = ["verification:1", "verification:2", "Verification:3", "verification;", "verif", "50%", "500", None]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (starts_with(EloHistory.debate_id, "verification:"), ["verification:1", "verification:2"]),
        (starts_with(EloHistory.debate_id, ""), [tag for tag in TAGS if tag is not None]),
        (contains(EloHistory.debate_id, "0%"), ["50%"]),
        (contains(EloHistory.debate_id, "VERIFICATION:", ignore_case=True), TAGS[:3]),
        (sa.not_(contains(EloHistory.debate_id, "0")), TAGS[:5]),
        (starts_with(EloHistory.debate_id, "v" * 2000), []),
    ],
    ids=["prefix", "empty", "literal percent", "no case", "not", "longer than a key"],
)
def test_columns(scratch, condition, expected):
    """What the stores will ask: NULL is never found, also not by NOT."""

    def work(session):
        session.add_all([EloHistory(agent_name="a", elo=1500.0, debate_id=tag, created_at=NOW) for tag in TAGS])
        return session.scalars(sa.select(EloHistory.debate_id).where(condition).order_by(EloHistory.id)).all()

    assert scratch(work) == expected


def test_json_field(scratch):
    """A field of a JSON value has the server's locale on PostgreSQL, which would fold Ä as well."""
    agent = ContinuumMemory.metadata_["agent"].as_string()
    ids = sa.select(ContinuumMemory.id).order_by(ContinuumMemory.id)

    def work(session):
        names = "Ä-One", "ä-ONE", "b"
        session.add_all([ContinuumMemory(id=name, content="", metadata_={"agent": name}) for name in names])
        return (
            session.scalars(ids.where(contains(agent, "Ä-one", ignore_case=True))).all(),
            session.scalars(ids.where(starts_with(agent, "ä"))).all(),
        )

    assert scratch(work) == (["Ä-One"], ["ä-ONE"])


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\udfff"])
def test_refused(both, text):
    """Text that no column can hold must not become a driver's error on one engine and an empty answer on another."""
    for condition in (starts_with(EloHistory.debate_id, text), contains(EloHistory.debate_id, text)):
        for database in both.values():
            with database.session(read_only=True) as session, pytest.raises(InvalidValue):
                session.scalars(sa.select(EloHistory.id).where(condition))


EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}
PLAN = {
    "sqlite": "USING COVERING INDEX ix_elo_history_debate (debate_id>? AND debate_id<?)",
    "postgresql": "Index Cond: ((debate_id >= 'verification:'::text) AND (debate_id < 'verification;'::text))",
}


def test_prefix_uses_index(both, dialect):
    """Looking up the events of one tag would otherwise read the whole history."""
    database = both[dialect]
    history = [{"agent_name": "a", "elo": 1500.0, "debate_id": f"debate-{n}", "created_at": NOW} for n in range(5_000)]
    query = sa.select(EloHistory.debate_id).where(starts_with(EloHistory.debate_id, "verification:"))
    with database.session() as session:
        session.execute(sa.insert(EloHistory), history)
        session.execute(sa.text("ANALYZE elo_history"))
        sql = query.compile(database.engine, compile_kwargs={"literal_binds": True})
        plan = "\n".join(row[-1] for row in session.execute(sa.text(f"{EXPLAIN[dialect]}{sql}".replace(":", r"\:"))))
        session.rollback()
    assert PLAN[dialect] in plan
    assert "ix_elo_history_debate" in plan
