"""A transaction in which a statement failed commits nothing, on every engine, and says so."""

from __future__ import annotations

import pytest
from sqlalchemy import exc, insert, select

from aragora_db.errors import TransactionAborted, UsageError
from aragora_db.models import EloRating


def _names(database):
    return database.run(lambda session: list(session.scalars(select(EloRating.agent_name))), read_only=True)


def _collide(session):
    session.execute(insert(EloRating).values(agent_name="taken"))
    session.execute(insert(EloRating).values(agent_name="taken"))


def test_a_caught_error_does_not_pass_for_a_commit(database):
    """PostgreSQL answers COMMIT with ROLLBACK here and psycopg reports success: the work would be lost unseen."""

    def work(session):
        session.add(EloRating(agent_name="kept?"))
        session.flush()
        with pytest.raises(exc.IntegrityError):
            _collide(session)
        return "done"

    with pytest.raises(TransactionAborted, match="begin_nested"):
        database.run(work)
    assert _names(database) == []


def test_a_savepoint_contains_the_error(database):
    """Work that expects a duplicate has a way to go on."""

    def work(session):
        session.add(EloRating(agent_name="kept"))
        session.flush()
        with pytest.raises(exc.IntegrityError), session.begin_nested():
            _collide(session)

    database.run(work)
    assert _names(database) == ["kept"]


def test_a_connection_that_failed_once_works_again(database):
    """A note about one transaction's failure that outlived it would refuse the next user's commit."""
    with pytest.raises(exc.IntegrityError):
        database.run(_collide)
    database.run(lambda session: session.add(EloRating(agent_name="next")))
    assert _names(database) == ["next"]


def test_a_unit_of_work_cannot_commit_by_another_name(database):
    """`with session.begin()` commits when it ends; a retry after that would do the first half twice."""

    def work(session):
        with session.begin():
            session.add(EloRating(agent_name="early"))

    with pytest.raises((exc.InvalidRequestError, UsageError)):
        database.run(work)
    assert _names(database) == []


def test_an_attribute_set_to_what_it_was_is_no_write(database):
    """A read-only session that refuses a no-op fails in code that only normalises what it read."""
    database.run(lambda session: session.add(EloRating(agent_name="same")))

    def touch(session):
        rating = session.get(EloRating, "same")
        rating.elo = float(rating.elo)
        return rating.elo

    assert database.run(touch, read_only=True) == 1500.0
