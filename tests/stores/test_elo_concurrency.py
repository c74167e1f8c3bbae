"""Eight processes and one leaderboard: nothing is lost, nothing counted twice, also when processes are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from aragora_db import Database
from aragora_db.models import EloHistory, EloMatch, EloMatchParticipant, EloRating
from aragora_db.stores.elo.matches import Matches, MatchInput

AGENTS = [f"agent-{number:02}" for number in range(12)]
PROCESSES = 8
pytestmark = pytest.mark.slow


def all_matches(count):
    """The same list in every process: two to four agents, a fifth of them draws."""
    numbers = random.Random(11)
    made = []
    for number in range(count):
        names = numbers.sample(AGENTS, numbers.choice([2, 2, 2, 3, 4]))
        scores = dict.fromkeys(names, 0.5) if numbers.random() < 0.2 else {name: numbers.random() for name in names}
        made.append(MatchInput(f"debate-{number}", names, scores, numbers.choice([None, "security", "testing"])))
    return made


def record_share(url, share, count):
    """One process: its share of the matches, one transaction each."""
    database = Database(url)
    for match in all_matches(count)[share::PROCESSES]:
        database.transact(
            lambda session, match=match: Matches(session).record_match(
                match.debate_id, match.participants, match.scores, match.domain
            )
        )
    database.close()


def start(url, count):
    """All processes: this file, as a program."""
    environment = {**os.environ, "RECORD_URL": url}
    return [
        subprocess.Popen([sys.executable, __file__, str(share), str(count)], env=environment, stderr=subprocess.PIPE)
        for share in range(PROCESSES)
    ]


def finish(process, seconds):
    """Wait; a process that failed shows what reached its caller."""
    _, errors = process.communicate(timeout=seconds)
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


def test_eight_processes_record_2000_matches(plain_database):
    """Aragora lost updates here: two processes, three matches won, two wins stored."""
    plain_database.migrate()
    for process in start(plain_database.dsn.url(), 2_000):
        finish(process, 240)
    assert plain_database.transact(lambda session: summary(session, 2_000)) == expected(2_000)


def test_killed_processes_leave_the_state_of_a_clean_run(plain_database):
    """Kill -9 between or inside transactions, then the same list again: each match is there once, and whole."""
    count = 500
    url = plain_database.dsn.url()
    plain_database.migrate()
    numbers = random.Random(5)
    running = start(url, count)
    while plain_database.transact(_matches, read_only=True) < count // 3 and any(
        each.poll() is None for each in running
    ):
        time.sleep(0.02)
    for process in running:
        time.sleep(numbers.random() / 20)
        process.kill()
        process.communicate(timeout=60)
    for process in start(url, count):
        finish(process, 120)
    assert plain_database.transact(lambda session: summary(session, count)) == expected(count)


def _matches(session):
    return session.scalar(sa.select(sa.func.count()).select_from(EloMatch))


if __name__ == "__main__":
    record_share(os.environ["RECORD_URL"], int(sys.argv[1]), int(sys.argv[2]))
