"""Every model goes into every engine and comes back as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db import types
from aragora_db.models import EloHistory, EloMatch, EloMatchParticipant, EloRating


def _attributes(row: Any) -> dict[str, Any]:
    return {attribute.key: getattr(row, attribute.key) for attribute in sa.inspect(type(row)).column_attrs}


def _kinds(values: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in values.items()}


def _store(database, samples, *, full: bool) -> dict[type, dict[str, Any]]:
    """Insert one row per model, parents first, and read all of them in a new session."""

    def write(session):
        for model in samples.models:
            session.add(model(**samples.row(model, full=full)))
            session.flush()

    database.run(write)
    return database.run(lambda s: {m: _attributes(s.scalars(samples.newest(m)).one()) for m in samples.models})


def test_every_column(database, samples):
    """A model whose values change on one engine would make production differ from the laptop in silence."""
    for model, stored in _store(database, samples, full=True).items():
        given = samples.row(model, full=True)
        assert stored == given, model.__name__
        assert _kinds(stored) == _kinds(given), model.__name__


def test_required_columns(database, samples):
    """A column without a value and without a default would refuse rows that the documentation allows."""
    started = datetime.now(UTC)
    for model, stored in _store(database, samples, full=False).items():
        given = samples.row(model, full=False)
        assert {name: stored[name] for name in given} == given, model.__name__
        for attribute in sa.inspect(model).column_attrs:
            column, value = attribute.columns[0], stored[attribute.key]
            if attribute.key in given:
                continue
            has_default = column.default is not None or column.identity is not None
            assert (value is not None) == has_default, f"{column} is {value!r}"
            if isinstance(column.type, types.UtcDateTime) and has_default:
                assert started <= value <= datetime.now(UTC), column


def _insert_required(model, samples) -> sa.TextClause:
    """INSERT as a person would write it: no default of Python's takes part."""
    columns = [c for c in model.__table__.columns if samples.is_required(c) or (c.primary_key and c.identity is None)]
    names = ", ".join(column.name for column in columns)
    values = f"({names}) VALUES ({', '.join(f':{column.name}' for column in columns)})" if columns else "DEFAULT VALUES"
    return sa.text(f"INSERT INTO {model.__tablename__} {values}").bindparams(
        *(sa.bindparam(column.name, samples.value(column), column.type) for column in columns)
    )


def test_server_defaults(both, samples):
    """A row written by hand (in psql, in sqlite3) must look the same in both databases."""
    stored = {}
    for dialect, database in both.items():
        with database.session() as session:
            for model in samples.models:
                session.execute(_insert_required(model, samples))
        with database.session(read_only=True) as session:
            stored[dialect] = {m: _attributes(session.scalars(samples.newest(m)).one()) for m in samples.models}
    for model in samples.models:
        mine, other = stored["sqlite"][model], stored["postgresql"][model]
        for attribute in sa.inspect(model).column_attrs:
            column = attribute.columns[0]
            if isinstance(column.type, types.UtcDateTime) and column.server_default is not None:
                assert mine.pop(attribute.key).tzinfo is UTC, column
                assert other.pop(attribute.key).tzinfo is UTC, column
        assert mine == other, model.__name__
        assert _kinds(mine) == _kinds(other), model.__name__


def test_history_by_hand(database):
    """The guide inserts history with three columns alone; a new required column would break that."""
    database.run(
        lambda s: s.execute(
            sa.text(
                "INSERT INTO elo_history (agent_name, elo, created_at) "
                "VALUES ('claude', 1500.0, '2026-01-15 09:30:00.000000+00:00')"
            )
        )
    )
    (row,) = database.run(lambda s: [_attributes(row) for row in s.scalars(sa.select(EloHistory))])
    assert row == {
        "id": 1,
        "agent_name": "claude",
        "elo": 1500.0,
        "debate_id": None,
        "created_at": datetime(2026, 1, 15, 9, 30, tzinfo=UTC),
    }


def test_domain_elos(database):
    """`domain_elos` must behave like the mapping it replaces: set, change, delete, replace, also on a stored row."""

    def begin(session):
        session.add(EloRating(agent_name="claude", domain_elos={"security": 1502.5, "ux": 1490.0}))

    def change(session):
        rating = session.get_one(EloRating, "claude")
        rating.domain_elos["security"] += 16
        rating.domain_elos["testing"] = 1500.0
        del rating.domain_elos["ux"]

    def replace(session):
        session.get_one(EloRating, "claude").domain_elos = {"testing": 1400.0}

    def read(session):
        return dict(session.get_one(EloRating, "claude").domain_elos)

    database.run(begin)
    database.run(change)
    assert database.run(read) == {"security": 1518.5, "testing": 1500.0}
    database.run(replace)
    assert database.run(read) == {"testing": 1400.0}


@pytest.mark.parametrize("names", [["b", "a"], ["z", "ä", "a"]])
def test_match_views(database, names):
    """`scores` and `elo_changes` are what callers read; they must follow the order in which agents took part."""

    def write(session):
        participants = {
            name: EloMatchParticipant(agent_name=name, position=position, score=position / 2, elo_change=None)
            for position, name in enumerate(names)
        }
        session.add(EloMatch(debate_id="d1", participants=participants))

    def read(session):
        match = session.scalars(sa.select(EloMatch)).one()
        return list(match.participants), dict(match.scores), dict(match.elo_changes)

    database.run(write)
    scores = {name: position / 2 for position, name in enumerate(names)}
    assert database.run(read) == (names, scores, dict.fromkeys(names))
