"""A leaderboard out of the shared cache against the query, one after the other and from eight threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from time import perf_counter

from grown import both_dialects, numbers, run_sql
from measure import Result, Row, against, in_turns

from aragora_db import Database, Settings
from aragora_db.database.cached_stores import CachedElo
from aragora_db.stores import EloStore
from aragora_db.testing.client import OwnKeeper, ask

CALLS, THREADS, AGENTS = 200, 8, 1_000
NOTES = (
    f"Each run makes {CALLS} calls of the top 50 among {AGENTS:,} agents; PostgreSQL and Redis on the same machine.",
    "With a match in between the call finds its version gone and asks the database again, like every instance does.",
)


def measure(runs: int) -> Result:
    """Uncached, cached, and cached with writes in between."""
    with ExitStack() as stack:
        plain = stack.enter_context(both_dialects("cached"))["postgresql"]("cached")
        redis = ask(stack.enter_context(closing(OwnKeeper())).control, "redis")
        run_sql(
            plain, [f"{numbers(AGENTS)} INSERT INTO elo_ratings (agent_name, elo) SELECT 'a' || i, 1000 + i FROM n"]
        )
        settings = Settings.explicit(database_url=plain.dsn.url(), redis_url=redis["url"])
        database = stack.enter_context(closing(Database(settings)))
        cached = CachedElo(database)
        rows: list[Row] = []
        for label, threads in (("one thread", 1), (f"{THREADS} threads", THREADS)):
            pool = stack.enter_context(ThreadPoolExecutor(threads))
            actions = {
                f"{label}: the query": _timed(pool, lambda: _query(database)),
                f"{label}: cached": _timed(pool, cached.leaderboard),
            }
            rows += against(f"{label}: the query", in_turns(actions, runs))
        peer = rows[0].median
        matches = iter(range(10**9))

        def with_matches() -> float:
            start = perf_counter()
            for number in range(CALLS):
                if number % 20 == 0:
                    name = f"match-{next(matches)}"
                    database.transact(
                        lambda session, name=name: EloStore(session).record_match(
                            name, ["a1", "a2"], {"a1": 1.0, "a2": 0.0}
                        )
                    )
                cached.leaderboard()
            return perf_counter() - start

        seconds = in_turns({"written": with_matches}, runs)["written"]
        rows.append(Row("one thread: cached, a match before every 20th call (its time included)", seconds, peer))
    return Result("cached_leaderboard", "Cached leaderboard", tuple(rows), NOTES)


def _query(database: Database) -> object:
    return database.transact(lambda session: EloStore(session).leaderboard(limit=50), read_only=True)


def _timed(pool: ThreadPoolExecutor, call: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        for done in [pool.submit(call) for _ in range(CALLS)]:
            done.result()
        return perf_counter() - start

    return run
