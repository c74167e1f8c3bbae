"""A password that changes while pools are open: on a real server, under load, in both orders."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest
from concurrent_work import Job
from sqlalchemy import text
from support import HANG_SECONDS

from aragora_db.config import parse_dsn
from aragora_db.config.resolve import resolve
from aragora_db.config.secrets import refreshing_value
from aragora_db.config.secrets.aws import secrets_manager
from aragora_db.database import Database
from aragora_db.engine import Target, create_async_engine, create_engine
from aragora_db.errors import ConfigurationError, DatabaseUnavailable
from aragora_db.testing.process import free_port

pytestmark = pytest.mark.slow

# A connection is replaced at each checkout, so that every request logs in.
CHURN = {"pool_size": 3, "max_overflow": 1, "pool_recycle": 0}


@pytest.fixture
def manager(settings):
    """The source of `settings`."""
    return secrets_manager(settings)


@pytest.fixture
def target(settings, manager, put, secret_name, role):
    """A target whose password is ``first``, in the secret and on the server."""
    put(secret_name, {"DATABASE_URL": role.dsn("first")})
    return Target(settings, resolve(settings, manager), where=lambda: resolve(settings, manager), renew=manager.refresh)


@pytest.fixture
def engine(target):
    """A sync engine that logs in at each checkout."""
    engine = create_engine(target, **CHURN)
    yield engine
    engine.dispose()


def _user(engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT current_user").scalar()


def _rotate(role, put, secret_name, password):
    role.change_password(password)
    put(secret_name, {"DATABASE_URL": role.dsn(password)})


# -- one connection ---------------------------------------------------------------------------------------------------


def test_a_new_connection_uses_the_new_password(engine, role, put, secret_name, aws):
    """Rotation would end in a restart of every instance."""
    assert _user(engine) == role.name
    _rotate(role, put, secret_name, "second")
    aws.asked.clear()
    assert _user(engine) == role.name
    assert len(aws.asked) == 1
    assert _user(engine) == role.name
    assert len(aws.asked) == 1


def test_async(target, role, put, secret_name):
    """As above, for the other driver."""

    async def users():
        engine = create_async_engine(target, **CHURN)
        found = []
        for password in ("second", "third"):
            async with engine.connect() as connection:
                found.append((await connection.exec_driver_sql("SELECT current_user")).scalar())
            await asyncio.to_thread(_rotate, role, put, secret_name, password)
        async with engine.connect() as connection:
            found.append((await connection.exec_driver_sql("SELECT current_user")).scalar())
        await engine.dispose()
        return found

    assert asyncio.run(users()) == [role.name] * 3


def test_old_connections_retire(target, role, put, secret_name):
    """A connection that is logged in stays so; recycling is what ends it."""
    engine = create_engine(target, pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        before = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    _rotate(role, put, secret_name, "second")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() == before
    engine.pool._recycle = 0  # thirty minutes later
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() != before
    engine.dispose()


def test_the_secret_first(engine, role, put, secret_name, manager):
    """Between the two steps the newest password is refused, and the one before it is still right."""
    assert _user(engine) == role.name
    put(secret_name, {"DATABASE_URL": role.dsn("second")})
    manager.refresh()
    assert _user(engine) == role.name
    role.change_password("second")
    assert _user(engine) == role.name


def test_another_place_is_never_a_way_back(engine, role, put, secret_name, manager):
    """After a move to another database, half of the writes would go on into the old one."""
    assert _user(engine) == role.name
    put(secret_name, {"DATABASE_URL": f"{role.dsn('wrong')}_moved"})
    manager.refresh()
    with pytest.raises(DatabaseUnavailable):
        _user(engine)


def test_alternating_users(engine, role, put, secret_name, manager):
    """AWS's way without a gap: the secret names the other of two roles, whose password was set long before."""
    other = f"{role.name}_b"
    with psycopg.connect(role.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {other} LOGIN PASSWORD 'second'")
        assert _user(engine) == role.name
        put(secret_name, {"DATABASE_URL": role.dsn("second").replace(role.name, other, 1)})
        manager.refresh()
        assert _user(engine) == other
        engine.dispose()
        admin.execute(f"DROP ROLE {other}")


def test_a_wrong_password_stays_an_error(target, role):
    """Looking for another password must not turn into looking for ever, nor hide what the server said."""
    engine = create_engine(target)
    role.change_password("nobody knows")
    with pytest.raises(DatabaseUnavailable, match=role.name) as caught:
        _user(engine)
    assert "first" not in str(caught.value)
    engine.dispose()


def test_only_a_refused_login_asks_again(target, role, put, secret_name, aws):
    """With the server down, every attempt to connect would also ask AWS."""
    put(secret_name, {"DATABASE_URL": role.dsn("first").replace(str(target.dsn.parameters["port"]), str(free_port()))})
    target.renew()
    engine = create_engine(target)
    aws.asked.clear()
    with pytest.raises(DatabaseUnavailable):
        _user(engine)
    assert aws.asked == []


def test_several_hosts(target, role, put, secret_name):
    """Of several hosts psycopg tells the last one only, which may be the one that is down."""
    down = free_port()

    def dsn(password):
        return f"{role.dsn(password)}?host=127.0.0.1,127.0.0.1&port={target.dsn.parameters['port']},{down}"

    role.change_password("second")
    put(secret_name, {"DATABASE_URL": dsn("first")})
    target.renew()
    engine = create_engine(target)
    put(secret_name, {"DATABASE_URL": dsn("second")})
    assert _user(engine) == role.name
    engine.dispose()


# -- a source that is in trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConfigurationError("no"), RuntimeError("Zk9")])
def test_a_source_that_raises(target, role, error, caplog):
    """New connections would fail for the one reason that has nothing to do with the database."""

    def broken():
        raise error

    engine = create_engine(replace(target, where=broken, renew=broken), **CHURN)
    assert [_user(engine) for _ in range(3)] == [role.name] * 3
    assert caplog.text.count("last good DSN") == 1
    assert "Zk9" not in caplog.text
    role.change_password("second")
    with pytest.raises(DatabaseUnavailable):
        _user(engine)
    engine.dispose()


@pytest.mark.parametrize("other", ["sqlite:///other.db", "postgresql://u:Zk9@db:6543/arena"])
def test_an_engine_of_another_kind(target, role, other, caplog):
    """The engine's statements and listeners are those of the database it was made for."""
    engine = create_engine(replace(target, where=lambda: parse_dsn(other)), **CHURN)
    assert _user(engine) == role.name
    assert "restart this process" in caplog.text
    assert "Zk9" not in caplog.text
    engine.dispose()


# -- load -------------------------------------------------------------------------------------------------------------


# Of four drivers of load: as many are under way when something changes, and as many more begin after it at least.
REQUESTS = 10


@pytest.fixture
def short_interval(monkeypatch):
    """Let the secret be asked for again after 0.2 s instead of a second: six looks then take little more than one."""
    assert refreshing_value._INTERVAL == 1.0, "docs/guide/secrets.md promises seconds"
    monkeypatch.setattr(refreshing_value, "_INTERVAL", 0.2)


class Load:
    """Counts requests that succeeded, and keeps the errors of those that did not."""

    def __init__(self):
        self.done = 0
        self.failed = []
        self.stop = threading.Event()

    @contextmanager
    def request(self):
        """A request, which may fail."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- the test shows it
            self.failed.append(error)
        else:
            self.done += 1


def _in_threads(stack, engine, load, count=4):
    def work():
        while not load.stop.is_set():
            with load.request():
                _user(engine)

    _run(stack, load, [work] * count)


def _run(stack, load, works):
    for work in works:
        stack.callback(Job(work).result)
    stack.callback(load.stop.set)


def _in_tasks(stack, target, load, count=4):
    async def work(engine):
        while not load.stop.is_set():
            with load.request():
                async with engine.connect() as connection:
                    await connection.exec_driver_sql("SELECT 1")

    async def main():
        engine = create_async_engine(target, **CHURN)
        await asyncio.gather(*(work(engine) for _ in range(count)))
        await engine.dispose()

    _run(stack, load, [lambda: asyncio.run(main())])


@pytest.mark.slow
@pytest.mark.parametrize("drive", ["threads", "tasks"])
def test_secret_first_under_load(target, engine, role, put, secret_name, manager, eventually, drive):
    """Whatever lies between the steps, no request may fail, not even one that is never tried again."""
    load = Load()
    with ExitStack() as stack:
        _in_threads(stack, engine, load) if drive == "threads" else _in_tasks(stack, target, load)
        for password in ("second", "third"):
            done = load.done
            eventually(lambda done=done: load.done >= done + REQUESTS, "requests before")
            put(secret_name, {"DATABASE_URL": role.dsn(password)})
            manager.refresh()  # every instance notices at another moment; this one now
            eventually(lambda done=load.done: load.done >= done + REQUESTS, "requests in between")
            role.change_password(password)
            eventually(lambda done=load.done: load.done >= done + REQUESTS, "requests after")
    assert load.failed == []


@pytest.mark.slow
@pytest.mark.usefixtures("short_interval")
@pytest.mark.parametrize("drive", ["threads", "tasks"])
def test_database_first_under_load(target, settings, role, put, secret_name, aws, eventually, drive):  # noqa: ARG001 -- it stores the secret
    """AWS's own rotation changes the role first. `transact` waits for the secret to follow; no request fails."""
    database = Database(settings.model_copy(update={"pool_size": 3, "pool_max_overflow": 1}))
    database.ensure_ready()
    load = Load()
    with ExitStack() as stack:
        stack.callback(database.close)
        _transact_in_threads(stack, database, load) if drive == "threads" else _transact_in_tasks(stack, database, load)
        for password in ("second", "third"):
            eventually(lambda done=load.done: load.done >= done + REQUESTS, "requests before")
            asked = len(aws.asked)
            role.change_password(password)
            # Two looks are more than one interval: the gap between the rotation's steps.
            eventually(lambda asked=asked: len(aws.asked) >= asked + 2, "two looks at a secret that is behind")
            put(secret_name, {"DATABASE_URL": role.dsn(password)})
            eventually(lambda done=load.done: load.done >= done + REQUESTS, "requests after")
    assert load.failed == []


@pytest.mark.usefixtures("target", "short_interval")
def test_how_long_transact_waits(settings, role, put, secret_name, aws, eventually):
    """AWS's rotation function takes seconds between its two steps; docs/guide/secrets.md promises five of them."""
    database = Database(settings)
    database.ensure_ready()
    database.close()
    asked = len(aws.asked)
    role.change_password("second")
    load = Load()

    def work():
        with load.request():
            database.transact(lambda session: session.scalar(text("SELECT 1")))

    with ExitStack() as stack:
        stack.callback(database.close)
        _run(stack, load, [work])
        eventually(lambda: len(aws.asked) >= asked + 6, "six looks at a secret that is behind")
        put(secret_name, {"DATABASE_URL": role.dsn("second")})
    assert (load.done, load.failed) == (1, [])


def _transact_in_threads(stack, database, load, count=4):
    database.engine.pool._recycle = 0

    def work():
        while not load.stop.is_set():
            with load.request():
                database.transact(lambda session: session.scalar(text("SELECT 1")))

    _run(stack, load, [work] * count)


def _transact_in_tasks(stack, database, load, count=4):
    async def loop():
        while not load.stop.is_set():
            with load.request():
                await database.transact_async(lambda session: session.scalar(text("SELECT 1")))

    async def main():
        database.async_engine.pool._recycle = 0
        await asyncio.gather(*(loop() for _ in range(count)))
        await database.aclose()

    _run(stack, load, [lambda: asyncio.run(main())])


def test_the_event_loop_goes_on(target, role, put, secret_name, aws):
    """One refused login would freeze every task of the process for as long as AWS takes."""

    async def run():
        engine = create_async_engine(target, **CHURN)
        async with engine.connect():
            pass
        role.change_password("second")
        put(secret_name, {"DATABASE_URL": role.dsn("second")})
        aws.asked.clear()
        aws.gate.clear()

        async def log_in():
            async with engine.connect() as connection:
                return (await connection.exec_driver_sql("SELECT current_user")).scalar()

        login = asyncio.create_task(log_in())
        async with asyncio.timeout(HANG_SECONDS):
            # The proxy lives in threads; only a loop that goes on gets past here.
            while not aws.asked:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)
        assert not login.done()
        aws.gate.set()
        user = await asyncio.wait_for(login, HANG_SECONDS)
        await engine.dispose()
        return user

    assert asyncio.run(run()) == role.name


# -- targets ----------------------------------------------------------------------------------------------------------


def test_targets_are_copied(target):
    """Settings with other timeouts, for a migration, must not lose the rotation."""
    changed = target.with_settings(statement_timeout=5)
    assert (changed.where, changed.renew) == (target.where, target.renew)
    assert copy.copy(target).where is target.where
    assert copy.deepcopy(target).where is target.where


def test_targets_are_pickled(target, role):
    """A pool of processes pickles what a worker needs; a lock, or a function without a name, cannot be."""
    arrived = pickle.loads(pickle.dumps(target))  # noqa: S301 -- our own bytes
    assert arrived == target
    assert (arrived.where, arrived.renew) == (None, None)
    engine = create_engine(arrived)
    assert _user(engine) == role.name
    engine.dispose()


def test_targets_show_no_function(target):
    """A lambda in a log helps nobody, and its closure may be shown with it."""
    assert "where" not in repr(target)
    assert "first" not in repr(target)
