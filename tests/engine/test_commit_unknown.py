"""A connection lost around COMMIT: nobody knows, and nobody runs it again."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from aragora_db.errors import CommitUnknown, DatabaseUnavailable, UniqueViolation
from aragora_db.models import EloRating

# What the proxy does at COMMIT, and whether the row is there afterwards.
OUTCOMES = {"cut": False, "lose": True}


@pytest.fixture
def behind_proxy(server_case, fresh_databases, open_database, proxy_to, no_grace):  # noqa: ARG001 -- set before the engine is made
    """A database behind a proxy, through each driver, with one connection open and idle."""
    proxy = proxy_to(fresh_databases.url("postgresql"))
    database = open_database(server_case, proxy.url, fractions={"command_timeout": 0.5, "statement_timeout": 0.4})
    database.run(lambda session: session.scalar(text("SELECT 1")))
    proxy.commits = 0
    return database, proxy


def _insert(runs):
    def work(session):
        runs.append(1)
        session.add(EloRating(agent_name=f"run {len(runs)}"))
        session.flush()

    return work


def _names(database):
    return database.run(
        lambda session: session.scalars(text("SELECT agent_name FROM elo_ratings")).all(), read_only=True
    )


def _with_session(database, work):
    """The same work in a plain session block."""
    if database.case.is_async:

        async def block():
            async with database.async_session() as session:
                await session.run_sync(work)

        return database._runner.run(block())
    with database.session() as session:
        return work(session)


WAYS = {"transact": lambda database, work: database.run(work), "session": _with_session}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at_commit", OUTCOMES)
def test_the_outcome_of_a_cut_commit_is_unknown(behind_proxy, at_commit, way, eventually):
    """Retried, a rating would move twice; passed on as an ordinary loss, the caller would retry it."""
    database, proxy = behind_proxy
    runs = []
    proxy.at_commit = at_commit
    with pytest.raises(CommitUnknown, match="may or may not have happened"):
        WAYS[way](database, _insert(runs))
    assert (len(runs), proxy.commits) == (1, 1)
    proxy.at_commit = None
    # Nothing tells when the server notices that its client is gone, so look more than once.
    eventually(lambda: _names(database) == (["run 1"] if OUTCOMES[at_commit] else []), "the outcome shows")


def test_listeners_hear_of_a_commit_that_may_have_happened(behind_proxy):
    """The row is there, and every instance goes on answering from its cache."""
    database, proxy = behind_proxy
    told = []
    database.on_commit(told.append)
    proxy.at_commit = "lose"
    with pytest.raises(CommitUnknown):
        database.run(_insert([]))
    proxy.at_commit = None
    assert told == [frozenset({"elo_ratings"})]


@pytest.mark.parametrize("way", WAYS)
def test_a_commit_that_is_never_answered_is_unknown(behind_proxy, way):
    """COMMIT is no statement to SQLAlchemy: without a timer of its own it would wait for ever."""
    database, proxy = behind_proxy
    runs = []
    proxy.at_commit = "freeze"
    with pytest.raises(CommitUnknown):
        WAYS[way](database, _insert(runs))
    assert (len(runs), proxy.commits) == (1, 1)
    proxy.at_commit = None
    assert _names(database) == ["run 1"]


def test_a_cut_before_commit_is_no_mystery(behind_proxy):
    """What never reached COMMIT did not happen, so it is run again and applied once."""
    database, proxy = behind_proxy
    runs = []

    def work(session):
        _insert(runs)(session)
        if len(runs) == 1:
            proxy.cut()
            session.execute(text("SELECT 1"))

    database.run(work)
    assert len(runs) == 2
    assert _names(database) == ["run 2"]


def test_a_connection_lost_after_a_commit_is_no_mystery(behind_proxy):
    """The next transaction of a connection begins without the last one's commit in the air."""
    database, proxy = behind_proxy
    engine = database.engine
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.commit()
        proxy.cut()
        with pytest.raises(DatabaseUnavailable) as caught:
            connection.execute(text("SELECT 1"))
    assert not isinstance(caught.value, CommitUnknown)


def test_a_terminated_backend_at_commit_is_unknown(behind_proxy, observe):
    """The server's last word, "terminating connection", does not say on which side of the commit it was spoken."""
    database, _proxy = behind_proxy
    admin = observe(database.dsn.conninfo())
    runs = []

    def work(session):
        _insert(runs)(session)
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        admin.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,))

    with pytest.raises(CommitUnknown):
        database.run(work)
    assert len(runs) == 1
    assert _names(database) == []


def test_a_commit_that_is_refused_is_known(behind_proxy):
    """A deferred constraint fails at COMMIT with an answer: that is an ordinary error."""
    database, _proxy = behind_proxy

    def make(session):
        session.execute(text("CREATE TABLE later (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))

    def break_it(session):
        session.execute(text("INSERT INTO later VALUES (1), (1)"))

    database.run(make)
    with pytest.raises(UniqueViolation, match="duplicate key"):
        database.run(break_it)
