"""What this package may not do to the application's other databases: listen to their sessions and engines."""

from __future__ import annotations

import subprocess
import sys

import pytest
import support

pytestmark = pytest.mark.slow

# All listeners that a plain session, engine, pool, dialect and mapper of an application would call.
COUNT = """
import importlib, pkgutil
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, MapperEvents, Mapped, Session, SessionEvents, mapped_column
from sqlalchemy.events import ConnectionEvents, DialectEvents, PoolEvents

class Base(DeclarativeBase): pass

class Own(Base):
    __tablename__ = "own"
    id: Mapped[int] = mapped_column(primary_key=True)

def listeners():
    engine = sa.create_engine("sqlite://")
    plain = [(SessionEvents, Session()), (ConnectionEvents, engine), (PoolEvents, engine.pool),
             (DialectEvents, engine.dialect), (MapperEvents, Own.__mapper__)]
    names = [(owner, name) for events, owner in plain for name in vars(events)
             if name[0] != "_" and name != "dispatch" and hasattr(owner.dispatch, name)]
    return {(type(owner).__name__, name): len(list(getattr(owner.dispatch, name))) for owner, name in names}
"""


def test_nothing_listens_to_all_sessions_and_engines():
    """A listener on `Session` itself would refuse, slow down or write in flushes that have nothing to do with us."""
    script = f"""{COUNT}
before = listeners()
import aragora_db
for module in pkgutil.walk_packages(aragora_db.__path__, "aragora_db."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert len(before) > 40, before
assert listeners() == before
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=support.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=support.HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
