"""Starting, waiting for and stopping one server process."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Account", "ServerProcess", "free_port", "launch", "run", "server_account", "start_error"]

START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Account:
    """The OS user that servers run as when the tests run as root."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Who runs the servers: None means ourselves; root hands over to ``postgres`` or ``nobody``.

    PostgreSQL and PgBouncer refuse to run as root.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise start_error(
        "Root may not run PostgreSQL, and this machine has neither a user 'postgres' nor 'nobody'. "
        "Run the tests as an ordinary user, or set ARAGORA_TEST_POSTGRES_URL to a server to use"
    )


def start_error(message: str) -> Exception:
    """An error that says why no server runs; made here so that a healthy keeper never loads SQLAlchemy."""
    from aragora_db.errors import AragoraDBError  # noqa: PLC0415 -- needed only to fail; saves 480 ms

    return AragoraDBError(message)


@dataclass(frozen=True)
class ServerProcess:
    """A running server: its process, its log, and the signal that ends it at once."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals = signal.SIGKILL

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until ``ready`` says so.

        Raises:
            AragoraDBError: the process ended, or was not ready in time; with the end of its log. It is stopped.
        """
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                cause = f"ended with code {ended}" if ended is not None else f"was not ready after {START_SECONDS:g} s"
                self.stop()
                raise start_error(f"{self.name} {cause}. The end of its log:\n{log_tail(self.log)}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop it at once, by force when it does not go, and wait until it is gone."""
        for number in (self.stop_signal, signal.SIGKILL):
            with suppress(ProcessLookupError):
                self.process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
                return


def launch(command: Sequence[str | Path], folder: Path, account: Account | None) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C in the terminal does not reach it.

    Its output goes to ``server.log`` in the folder.
    """
    with log_path(folder).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 -- a server binary that we looked up
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def run(command: Sequence[str | Path], folder: Path, account: Account | None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as the servers' account; its output is in the result."""
    return subprocess.run(  # noqa: S603 -- a program that we looked up
        command,
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=START_SECONDS,
        check=False,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def log_path(folder: Path) -> Path:
    """Where ``launch`` writes a server's output."""
    return folder / "server.log"


def log_tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, or a note that there is none."""
    try:
        text = log.read_text(errors="replace").strip()
    except FileNotFoundError:
        text = ""
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def free_port(highest: int = 65_535) -> int:
    """A TCP port of the loopback interface that was free a moment ago, and is not above ``highest``.

    A Redis of a Cluster listens on its port plus 10,000 as well: 55,535 is the highest for it.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= highest:
            return port


def _environment(folder: Path) -> dict[str, str]:
    """Ours without PostgreSQL's own variables (PGDATA, PGPORT, PGOPTIONS ...), which would bend the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C", "LANG": "C", "HOME": str(folder)}
