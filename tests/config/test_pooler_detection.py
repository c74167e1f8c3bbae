"""Pooler detection; a failure means "prepared statement already exists", or settings leaking to another client."""

from __future__ import annotations

import pytest

from aragora_db.config import PoolerMode, Settings, detect_pooler, parse_dsn
from aragora_db.config.resolve import resolve

SUPABASE = "postgresql://postgres.ref:x@aws-0-eu-west-1.pooler.supabase.com"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (f"{SUPABASE}:6543/postgres", PoolerMode.TRANSACTION),
        (f"{SUPABASE}:5432/postgres", PoolerMode.SESSION),
        (f"{SUPABASE}/postgres", PoolerMode.SESSION),
        (f"{SUPABASE.upper().replace('POSTGRESQL://', 'postgresql://')}:5432/postgres", PoolerMode.SESSION),
        (f"{SUPABASE}:5432/postgres?pgbouncer=true", PoolerMode.TRANSACTION),
        ("postgresql://x@db.ref.supabase.co:5432/postgres", PoolerMode.NONE),
        ("postgresql://x@db.ref.supabase.co:6543/postgres", PoolerMode.TRANSACTION),
        ("postgresql://x@ep-a-pooler.eu-west-2.aws.neon.tech/neondb", PoolerMode.TRANSACTION),
        ("postgresql://x@EP-A-POOLER.eu-west-2.aws.neon.tech/neondb", PoolerMode.TRANSACTION),
        ("postgresql://x@ep-a.eu-west-2.aws.neon.tech/neondb", PoolerMode.NONE),
        ("postgresql://x@db.example/arena?pgbouncer=true", PoolerMode.TRANSACTION),
        ("postgresql://x@db.example/arena?pgbouncer=1", PoolerMode.TRANSACTION),
        ("postgresql://x@db.example/arena?pgbouncer=false", PoolerMode.NONE),
        ("postgresql://x@a.example:5432,b.example:6543/arena", PoolerMode.TRANSACTION),
        ("postgresql://x@a.example:16543/arena", PoolerMode.NONE),
        ("postgresql:///arena?host=/var/run/postgresql", PoolerMode.NONE),
        ("postgresql://x@evil-pooler.supabase.com.example/arena", PoolerMode.TRANSACTION),
        ("sqlite:///arena.db", PoolerMode.NONE),
    ],
)
def test_detected(text: str, mode: PoolerMode) -> None:
    """The engine would use session features where there is no session, or do without where there is one."""
    assert detect_pooler(parse_dsn(text)) is mode


@pytest.mark.parametrize("said", ["none", "session", "transaction"])
def test_said_wins(said: str) -> None:
    """An operator could not correct a wrong guess."""
    settings = Settings.explicit(database_url=f"{SUPABASE}:6543/postgres", pooler=said)
    assert detect_pooler(resolve(settings), settings.pooler) == said
    assert detect_pooler(resolve(settings), PoolerMode(said)) == said


def test_sqlite_has_none() -> None:
    """A setting that is shared with a production deployment would break the laptop."""
    assert detect_pooler(parse_dsn("sqlite://"), "transaction") is PoolerMode.NONE
