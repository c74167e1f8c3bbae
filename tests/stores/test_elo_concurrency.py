"""Many processes and one leaderboard: nothing is lost, nothing counted twice, also when processes are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
import support
from support import HANG_SECONDS, clean_environment, end_process, eventually, output_of

from aragora_db import Database
from aragora_db.models import EloHistory, EloMatch, EloMatchParticipant, EloRating
from aragora_db.stores import EloStore, NewMatch

AGENTS = [f"agent-{number:02}" for number in range(12)]
pytestmark = pytest.mark.slow

# Two processes are a race on two cores; eight, and more matches, are the long form.
LONG = [pytest.mark.faults, pytest.mark.timeout(600)]
SIZES = pytest.mark.parametrize(
    ("processes", "count"), [pytest.param(2, 200, id="short"), pytest.param(8, 2_000, id="long", marks=LONG)]
)


def all_matches(count):
    """The same list in every process: two to four agents, a fifth of them draws."""
    numbers = random.Random(11)
    made = []
    for number in range(count):
        names = numbers.sample(AGENTS, numbers.choice([2, 2, 2, 3, 4]))
        scores = dict.fromkeys(names, 0.5) if numbers.random() < 0.2 else {name: numbers.random() for name in names}
        made.append(NewMatch(f"debate-{number}", names, scores, numbers.choice([None, "security", "testing"])))
    return made


def record_share(url, share, processes, count):
    """One process: its share of the matches, one transaction each."""
    database = Database(url)
    for match in all_matches(count)[share::processes]:
        database.transact(
            lambda session, match=match: EloStore(session).record_match(
                match.debate_id, match.participants, match.scores, match.domain
            )
        )
    database.close()


@dataclass
class Recorders:
    """The processes of a test, each running this file as a program."""

    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, url: str, processes: int, count: int) -> list[subprocess.Popen[bytes]]:
        """Start all processes."""
        # `support` is on pytest's path only.
        environment = clean_environment(RECORD_URL=url, PYTHONPATH=str(Path(support.__file__).parent))
        started = [
            subprocess.Popen(
                [sys.executable, __file__, str(share), str(processes), str(count)],
                env=environment,
                stderr=subprocess.PIPE,
            )
            for share in range(processes)
        ]
        self.running += started
        return started


@pytest.fixture
def recorders() -> Iterator[Recorders]:
    """Processes that record matches; those that still run are ended with the test."""
    recorders = Recorders()
    yield recorders
    for process in recorders.running:
        if process.returncode is None:
            end_process(process)


def finish(processes, seconds):
    """Wait for the end of processes; one that failed shows what reached its caller."""
    for process in processes:
        _, errors = output_of(process, seconds=seconds)
        assert process.returncode == 0, errors.decode()


def summary(session, count):
    """What has to add up; wins and the rest by agent."""
    total = session.scalar(sa.select(sa.func.sum(EloMatchParticipant.elo_change)))
    ratings = session.scalars(sa.select(EloRating).order_by(EloRating.agent_name)).all()
    participants = session.scalar(sa.select(sa.func.count()).select_from(EloMatchParticipant))
    assert abs(total) < 1e-6
    assert abs(sum(each.elo - 1500.0 for each in ratings)) < 1e-6
    assert session.scalar(sa.select(sa.func.count()).select_from(EloMatch)) == count
    assert session.scalar(sa.select(sa.func.count()).select_from(EloHistory)) == participants
    assert sum(each.debates_count for each in ratings) == participants
    assert all(each.wins + each.losses + each.draws == each.debates_count for each in ratings)
    return {each.agent_name: (each.wins, each.losses, each.draws) for each in ratings}


def expected(count):
    """Wins, losses and draws do not depend on the order in which matches are counted."""
    tally = {name: [0, 0, 0] for name in AGENTS}
    for match in all_matches(count):
        best = max(match.scores.values())
        winners = [name for name in match.participants if match.scores[name] == best]
        for name in match.participants:
            tally[name][2 if len(winners) > 1 else 0 if name in winners else 1] += 1
    return {name: tuple(counts) for name, counts in tally.items()}


@SIZES
def test_processes_record_matches(plain_database, recorders, processes, count):
    """Aragora lost updates here: two processes, three matches won, two wins stored."""
    plain_database.migrate()
    finish(recorders.start(plain_database.dsn.url(), processes, count), HANG_SECONDS * processes)
    assert plain_database.transact(lambda session: summary(session, count)) == expected(count)


@SIZES
def test_killed_processes_leave_the_state_of_a_clean_run(plain_database, recorders, processes, count):
    """Kill -9 between or inside transactions, then the same list again: each match is there once, and whole."""
    url = plain_database.dsn.url()
    plain_database.migrate()
    numbers = random.Random(5)
    running = recorders.start(url, processes, count)
    eventually(
        lambda: (
            plain_database.transact(_matches, read_only=True) >= count // 3
            or all(each.poll() is not None for each in running)
        ),
        "a third of the matches is recorded",
    )
    for process in running:
        time.sleep(numbers.random() / 20)  # so that the kill hits any point of a transaction
        end_process(process)
    finish(recorders.start(url, processes, count), HANG_SECONDS * processes)
    assert plain_database.transact(lambda session: summary(session, count)) == expected(count)


def _matches(session):
    return session.scalar(sa.select(sa.func.count()).select_from(EloMatch))


if __name__ == "__main__":
    record_share(os.environ["RECORD_URL"], *map(int, sys.argv[1:]))
