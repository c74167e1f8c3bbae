"""Nothing is left behind, however pytest ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import output_of

from aragora_db.testing.binaries import find_pgbouncer, find_postgres, find_redis
from aragora_db.testing.client import OwnKeeper

InnerPytest = Callable[..., subprocess.Popen[str]]
Wait = Callable[[Callable[[], bool], str], None]
AllGone = Callable[[list[int], Path], None]
Start = Callable[..., dict[str, Any]]
StateOf = Callable[[int], str]

pytestmark = pytest.mark.skipif(
    find_postgres() is None or find_redis() is None, reason="no PostgreSQL or no Redis here to leave behind"
)

XDIST = ["-p", "xdist", "-n", "2"]

# Starts every server there is, writes down what runs where, then waits to be ended.
HANGING_TEST = """
import json, os, pathlib, subprocess, time, psycopg, pytest

@pytest.mark.parametrize("number", range(2))
def test_hangs(request, postgres_server, redis_server, number):
    pids = [postgres_server.pid, redis_server.pid]
    if {pgbouncer}:
        pids.append(request.getfixturevalue("pgbouncer").pid)
    with psycopg.connect(postgres_server.admin_url) as connection:
        pids.append(connection.info.backend_pid)
        folder = connection.execute("SELECT current_setting('unix_socket_directories')").fetchone()[0]
    keeper = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(postgres_server.pid)]))
    note = {{"pids": [*pids, keeper, os.getpid()], "folder": str(pathlib.Path(folder).parent)}}
    pathlib.Path(f"note{{number}}.part").write_text(json.dumps(note))
    pathlib.Path(f"note{{number}}.part").rename(f"note{{number}}.json")
    time.sleep({seconds})
"""

# As above, but a forked child holds every pipe of its killed parent open.
FORKING_PARENT = """
import json, os, sys, time
from aragora_db.testing.client import OwnKeeper, ask
keeper = OwnKeeper()
redis = ask(keeper.control, "redis")
child = os.fork()
if child == 0:
    time.sleep(600)
print(json.dumps({"pids": [redis["pid"], keeper.pid], "control": keeper.control, "child": child}), flush=True)
time.sleep(600)
"""


def hanging_test(seconds: int) -> str:
    """The generated test file; it waits after it has started everything."""
    return HANGING_TEST.format(pgbouncer=find_pgbouncer() is not None, seconds=seconds)


def read_note(tmp_path: Path, eventually: Wait, process: subprocess.Popen[str], number: int = 0) -> dict[str, Any]:
    """What the inner test wrote down, once it has."""
    note = tmp_path / f"note{number}.json"
    eventually(lambda: note.exists() or process.poll() is not None, "the inner test has started its servers")
    assert note.exists(), output_of(process)[0]
    return json.loads(note.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "workers"),
    [
        pytest.param(signal.SIGINT, [], id="ctrl-c"),
        pytest.param(signal.SIGTERM, [], id="terminated"),
        pytest.param(signal.SIGKILL, [], id="kill -9"),
        pytest.param(signal.SIGINT, XDIST, id="ctrl-c with xdist"),
        pytest.param(signal.SIGKILL, XDIST, id="kill -9 with xdist"),
    ],
)
def test_a_killed_pytest_leaves_nothing(
    inner_pytest: InnerPytest,
    tmp_path: Path,
    eventually: Wait,
    all_gone: AllGone,
    *,
    number: signal.Signals,
    workers: list[str],
) -> None:
    """Servers that outlive a killed run eat the machine's memory until somebody wonders why."""
    process = inner_pytest(hanging_test(600), *workers)
    note = read_note(tmp_path, eventually, process)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal sends Ctrl-C to the whole group
    else:
        os.kill(process.pid, number)
    output, _ = output_of(process)
    assert process.returncode != 0, output
    all_gone(note["pids"], Path(note["folder"]))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], XDIST], ids=["plain", "xdist"])
def test_a_finished_pytest_leaves_nothing(
    inner_pytest: InnerPytest, tmp_path: Path, eventually: Wait, workers: list[str], state_of: StateOf
) -> None:
    """When pytest has returned, everything is gone already: the next step may delete the machine."""
    process = inner_pytest(hanging_test(0), *workers)
    output, _ = output_of(process)
    assert process.returncode == 0, output
    notes = [read_note(tmp_path, eventually, process, number) for number in range(2)]
    assert notes[0]["folder"] == notes[1]["folder"], "the workers share one server"
    assert not any(state_of(pid) for note in notes for pid in note["pids"])
    assert not Path(notes[0]["folder"]).exists()


def test_a_forked_child_that_lives_on_does_not_keep_the_servers(tmp_path: Path, all_gone: AllGone) -> None:
    """Tests fork; a child that hangs after kill -9 of its parent holds the keeper's stdin open."""
    with subprocess.Popen([sys.executable, "-c", FORKING_PARENT], stdout=subprocess.PIPE, cwd=tmp_path) as parent:
        note = json.loads(parent.stdout.readline())
        parent.kill()
    try:
        all_gone(note["pids"], Path(note["control"]).parent)
    finally:
        os.kill(note["child"], signal.SIGKILL)


def test_a_forked_child_that_ends_does_not_stop_the_servers(keeper: OwnKeeper, start: Start, state_of: StateOf) -> None:
    """Multiprocessing tests fork; were the child's exit to end the servers, every later test would fail."""
    pid = start("redis")["pid"]
    child = os.fork()
    if child == 0:
        keeper.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert state_of(pid)
    assert start("redis")["pid"] == pid
