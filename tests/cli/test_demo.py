"""``aragora-db demo``, the first thing a stranger runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import support
from sqlalchemy import func, select

from aragora_db.cli import main
from aragora_db.database import Database
from aragora_db.models import (
    Consensus,
    ContinuumMemory,
    Critique,
    Dissent,
    EloDomainRating,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
    PersonaPerformance,
    Position,
    PositionHistory,
    TierTransition,
)

pytestmark = pytest.mark.slow

FILE = Path(".nomic/demo.db")


@pytest.fixture
def demo(tmp_path, monkeypatch, capsys):
    """Runs ``aragora-db demo --json`` in an empty folder and returns its document."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["demo", "--json", *arguments])
        output = capsys.readouterr()
        assert (ended.value.code, output.err) == (0, "")
        return json.loads(output.out)

    return run


@pytest.fixture
def migrated_file(demo, fresh_databases):
    """Returns a function that puts a database at head where the demo of the working directory looks for its own."""
    assert demo
    migrated = Path(fresh_databases.url("sqlite").removeprefix("sqlite:///"))

    def put():
        FILE.parent.mkdir()
        shutil.copyfile(migrated, FILE)

    return put


@pytest.fixture
def at_head(migrated_file):
    """The demo of the empty folder finds its database migrated, so that the test need not wait for that."""
    migrated_file()


def read(work):
    """The value of ``work(session)`` on the demo's file."""
    database = Database(f"sqlite:///{FILE}")
    value = database.transact(work, read_only=True)
    database.close()
    return value


def test_real_data_is_out_of_reach(demo, monkeypatch, tmp_path):
    """Somebody will try the demo on a production machine, with its environment; it must not even look there."""
    (tmp_path / ".nomic").mkdir()
    (tmp_path / ".nomic" / "aragora.db").write_bytes(b"somebody's real data")
    elsewhere = tmp_path / "elsewhere"
    for name, value in {
        "DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none",
        "ARAGORA_POSTGRES_DSN": "not even a DSN",
        "ARAGORA_DATA_DIR": str(elsewhere),
        "ARAGORA_DB_BACKEND": "postgresql",
        "ARAGORA_DB_POOL_SIZE": "many",
        "ARAGORA_ENV": "production",
        "ARAGORA_REQUIRE_DISTRIBUTED": "true",
        "ARAGORA_AUTO_MIGRATE_ON_STARTUP": "false",
    }.items():
        monkeypatch.setenv(name, value)
    document = demo("--debates", "3")
    assert document["schema"]["database"] == "sqlite:///.nomic/demo.db"
    assert (tmp_path / ".nomic" / "aragora.db").read_bytes() == b"somebody's real data"
    assert not elsewhere.exists()
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in (tmp_path / ".nomic").iterdir()} == {
        "aragora.db",
        "demo.db",
    }


def test_it_leaves_a_row_of_everything(demo):
    """A tour that skips a table would show a stranger less than there is."""
    document = demo()
    tables = (
        *(Critique, PositionHistory, Position, EloMatch, EloMatchParticipant, EloHistory, EloDomainRating),
        *(ContinuumMemory, TierTransition, Consensus, Dissent, PersonaPerformance),
    )
    counts = read(lambda s: {table.__name__: s.scalar(select(func.count()).select_from(table)) for table in tables})
    assert all(counts.values()), counts
    assert counts["EloMatch"] == document["held"] == document["debates"]
    assert counts["EloHistory"] == counts["EloMatchParticipant"] == counts["Position"]
    assert document["schema"]["good"]
    assert document["consensus"]["conclusion"]
    assert document["dissent"]["content"]
    assert sum(document["memories"].values()) == counts["ContinuumMemory"]


@pytest.mark.usefixtures("at_head")
def test_again_goes_on(demo):
    """A second run that failed on a key, or began from nothing, would be the last one of a first impression."""
    first, second = demo("--debates", "5"), demo("--debates", "5")
    assert [first["debates"], second["debates"]] == [5, 10]
    ratings = {each["agent"]: each["elo"] for each in first["standings"]}
    for each in second["standings"]:
        assert each["elo"] - each["change"] == pytest.approx(ratings[each["agent"]], abs=0.11)
    played = read(lambda s: [(m.domain, dict(m.scores)) for m in s.scalars(select(EloMatch).order_by(EloMatch.id))])
    assert played[:5] != played[5:]


@pytest.mark.usefixtures("at_head")
def test_the_books_balance(demo):
    """Ratings that do not add up to what the matches say would be the kind of bug this package exists to end."""
    demo("--debates", "8")

    def work(session):
        ratings = {each.agent_name: each for each in session.scalars(select(EloRating))}
        moved = session.execute(
            select(EloMatchParticipant.agent_name, func.sum(EloMatchParticipant.elo_change)).group_by(
                EloMatchParticipant.agent_name
            )
        )
        for name, change in moved:
            assert ratings[name].elo == pytest.approx(1500 + change)
            assert sum(value - 1500 for value in ratings[name].domain_elos.values()) == pytest.approx(change)
        for each in ratings.values():
            assert each.wins + each.losses + each.draws == each.debates_count
        return sum(each.elo for each in ratings.values()), len(ratings)

    total, agents = read(work)
    assert total == pytest.approx(1500 * agents)


def test_a_seed_is_a_story(demo, migrated_file, monkeypatch, tmp_path):
    """Two people who follow the same page should see the same leaderboard."""
    documents = []
    for folder, seed in (("one", "7"), ("two", "7"), ("three", "8")):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        migrated_file()
        document = demo("--debates", "4", "--seed", seed)
        documents.append({name: value for name, value in document.items() if name != "schema"})
    assert documents[0] == documents[1]
    assert documents[0] != documents[2]


@pytest.mark.usefixtures("at_head")
def test_what_a_person_sees(demo, capsys):
    """Into a pipe: a leaderboard, a consensus, a dissent and the status, without a progress bar or a colour."""
    demo("--debates", "12")
    with pytest.raises(SystemExit, match="0"):
        main(["demo", "--debates", "12"])
    output = capsys.readouterr()
    assert output.err == ""
    assert "\x1b" not in output.out
    for expected in (
        "Leaderboard after 24 debates",
        "claude-critic",
        "consensus",
        "dissent",
        "at head",
        "20260102_elo",
    ):
        assert expected in output.out


def test_no_debates_at_all(tmp_path, monkeypatch, capsys):
    """A typing error must end with exit code 2 and a word about the option, not with an empty file."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--debates", "0"])
    assert "--debates" in capsys.readouterr().err
    assert not FILE.exists()


@pytest.mark.slow
def test_two_at_once(tmp_path):
    """Two terminals in one folder: both migrate, both count debates, and neither may take the other's number."""
    command = [sys.executable, "-m", "aragora_db", "demo", "--debates", "6", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ExitStack() as started:
        both = []
        for _ in range(2):
            both.append(subprocess.Popen(command, cwd=tmp_path, env=support.clean_environment(), **pipes))
            started.callback(support.end_process, both[-1])
        ended = [support.output_of(each) for each in both]
    assert [each.returncode for each in both] == [0, 0], ended
    assert max(json.loads(out)["debates"] for out, _ in ended) == 12
