"""SQLite files as Aragora writes them, of any size, for the benchmark of the import."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["write_matches", "write_memories"]

AGENTS = [f"agent-{number:02d}" for number in range(60)]
DOMAINS = ["security", "performance", "testing", "architecture", "database", "frontend"]
WORDS = """agent auth because cache canary cannot claim cost error evidence index latency lock must of p99 proof quorum
rate replica retry risk rollback shard should the throughput timeout token under when""".split()  # noqa: SIM905 -- words

_MATCHES = """CREATE TABLE matches (id INTEGER PRIMARY KEY AUTOINCREMENT, debate_id TEXT UNIQUE, winner TEXT,
    participants TEXT, domain TEXT, scores TEXT, elo_changes TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP);
    CREATE INDEX idx_matches_created ON matches(created_at);
    CREATE INDEX idx_matches_domain ON matches(domain);
    CREATE INDEX idx_matches_winner ON matches(winner);"""
_MEMORIES = """CREATE TABLE continuum_memory (id TEXT PRIMARY KEY, tier TEXT NOT NULL DEFAULT 'slow',
    content TEXT NOT NULL, importance REAL DEFAULT 0.5, surprise_score REAL DEFAULT 0.0,
    consolidation_score REAL DEFAULT 0.0,
    update_count INTEGER DEFAULT 0, success_count INTEGER DEFAULT 0, failure_count INTEGER DEFAULT 0,
    semantic_centroid BLOB, last_promotion_at TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT DEFAULT CURRENT_TIMESTAMP, metadata TEXT DEFAULT '{}', expires_at TEXT,
    red_line INTEGER DEFAULT 0, red_line_reason TEXT DEFAULT '');
    CREATE INDEX idx_continuum_tier ON continuum_memory(tier);
    CREATE INDEX idx_continuum_surprise ON continuum_memory(surprise_score DESC);
    CREATE INDEX idx_continuum_importance ON continuum_memory(importance DESC);
    CREATE INDEX idx_continuum_tier_updated ON continuum_memory(tier, updated_at);
    CREATE INDEX idx_continuum_tier_surprise ON continuum_memory(tier, surprise_score DESC);
    CREATE INDEX idx_continuum_tier_importance ON continuum_memory(tier, importance DESC);
    CREATE INDEX idx_continuum_expires ON continuum_memory(expires_at);
    CREATE INDEX idx_continuum_red_line ON continuum_memory(red_line);"""


def _write(path: Path, schema: str, table: str, columns: int, rows: Iterator[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {schema}")
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", rows)
        connection.commit()


def write_matches(path: Path, count: int) -> None:
    """A file like agent_elo.db: matches of two or three agents, scores and changes as JSON."""
    chance = random.Random(count)  # noqa: S311 -- the same file each time

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(1, count + 1):
            names = chance.sample(AGENTS, 2 if chance.random() < 0.7 else 3)  # noqa: PLR2004 -- most are duels
            scores = {name: round(chance.random(), 3) for name in names}
            changes = {name: chance.uniform(-16, 16) for name in names}
            yield (
                *(number, f"debate-{number:07d}-{chance.getrandbits(32):08x}", names[0], json.dumps(names)),
                *(chance.choice(DOMAINS), json.dumps(scores), json.dumps(changes)),
                f"2026-{1 + number % 9:02d}-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}:11",
            )

    _write(path, _MATCHES, "matches", 8, rows())


def write_memories(path: Path, count: int) -> None:
    """A file like continuum.db: memories of about 500 characters with a little JSON beside them."""
    chance = random.Random(count)  # noqa: S311 -- the same file each time

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(count):
            content = f"Memory {number}: " + " ".join(chance.choices(WORDS, k=75))
            metadata = {"tags": chance.sample(DOMAINS, 2), "agent": chance.choice(AGENTS)}
            day, second = f"2026-{1 + number % 9:02d}-{1 + number % 28:02d}", f"{number % 24:02d}:{number % 60:02d}:11"
            yield (
                *(f"mem_{number:08d}", chance.choice(["fast", "medium", "slow", "glacial"]), content),
                *(round(chance.random(), 4), chance.random() * 0.5, chance.random()),
                *(number % 30, number % 20, number % 10, None, None),
                *(f"{day}T{second}.{chance.randrange(10**6):06d}", f"{day}T{second}.{chance.randrange(10**6):06d}"),
                *(json.dumps(metadata), None, int(number % 97 == 0), ""),
            )

    _write(path, _MEMORIES, "continuum_memory", 17, rows())
