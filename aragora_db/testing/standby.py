"""PostgreSQL servers that a test kills, stops and promotes: a primary and its streaming replicas."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aragora_db.testing.binaries import PostgresBinaries
from aragora_db.testing.handles import url_of_database
from aragora_db.testing.process import (
    STOP_SECONDS,
    Account,
    ServerProcess,
    free_port,
    launch,
    log_path,
    run,
    start_error,
)
from aragora_db.testing.servers import PostgresAddress, postmaster_is_ready, start_postgresql
from aragora_db.testing.workspace import readable_postgres, server_folder

__all__ = ["Server", "start_primary", "start_standby"]

_STANDBY_CONF = """
port = {port}
unix_socket_directories = '{folder}'
wal_retrieve_retry_interval = '100ms'
wal_receiver_status_interval = '1s'
"""


@dataclass
class Server:
    """A PostgreSQL of a test's own.

    Attributes:
        data: its data folder.
        port: its port, the same after each start.
        url: superuser over TCP, with its password.
    """

    data: Path
    port: int
    url: str = field(repr=False)
    _binaries: PostgresBinaries
    _account: Account | None
    _process: ServerProcess

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process.process.poll() is None

    def url_for(self, dbname: str) -> str:
        """``url`` for another database."""
        return url_of_database(self.url, dbname)

    def kill(self) -> None:
        """End it as a power cut would, and wait until its processes are gone."""
        ours = [self._process.process.pid, *self._children()]
        for pid in ours:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.process.wait(STOP_SECONDS)

    def start(self) -> None:
        """Start it again; return when it accepts connections."""
        self._process = _start(self.data, self._binaries, self._account)

    def restart(self) -> None:
        """Kill it and start it."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Have it answer nothing and keep every connection, as a machine that swaps does."""
        os.kill(self._process.process.pid, signal.SIGSTOP)  # first: it forks no more
        for pid in self._children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in (*self._children(), self._process.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def promote(self) -> None:
        """Make a primary of a standby.

        Raises:
            AragoraDBError: it could not be promoted.
        """
        command: list[str | Path] = [self._binaries.bindir / "pg_ctl", "promote", "--wait", "-D", self.data]
        done = run(command, self.data.parent, self._account)
        if done.returncode != 0:
            raise start_error(f"the standby was not promoted:\n{done.stdout}{done.stderr}")

    def stop(self) -> None:
        """Stop it, whatever state it is in."""
        if self.running:
            self.thaw()
            self._process.stop()

    def _children(self) -> list[int]:
        command = ["ps", "-o", "pid=", "--ppid", str(self._process.process.pid)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- no input
        return [int(pid) for pid in listed.stdout.split()]


def start_primary(binaries: PostgresBinaries, workspace: Path, account: Account | None) -> Server:
    """Create a cluster that replicates at once, and start it. One for each workspace.

    Raises:
        AragoraDBError: it did not start.
    """
    binaries = readable_postgres(binaries, workspace, account)
    process, address = start_postgresql(binaries, workspace, account)
    data, port = workspace / "postgresql" / "data", urlsplit(address.admin_url).port or 0
    # What is not flushed is not sent: with the test servers' `off` a commit waits 200 ms for that. A standby that was
    # killed or frozen must find the log that it missed.
    with (data / "postgresql.conf").open("a") as conf:
        conf.write("synchronous_commit = on\nwal_keep_size = 1GB\n")
    process.process.send_signal(signal.SIGHUP)
    return Server(data, port, address.admin_url, binaries, account, process)


def start_standby(
    primary: PostgresAddress | Server,
    binaries: PostgresBinaries,
    workspace: Path,
    account: Account | None,
    name: str = "standby",
) -> Server:
    """Copy a running server with pg_basebackup and start the copy as its streaming replica.

    Args:
        primary: a `Server`, or what `servers.start_postgresql` returned.
        binaries: PostgreSQL of the same version, with ``pg_basebackup``.
        workspace: where its folder is made.
        account: who runs servers.
        name: of its folder.

    Raises:
        AragoraDBError: the copy could not be made, or did not start.
    """
    url = primary.url if isinstance(primary, Server) else primary.admin_url
    binaries = readable_postgres(binaries, workspace, account)
    folder = server_folder(workspace, name, account)
    data, port = folder / "data", free_port()
    command: list[str | Path] = [
        binaries.bindir / "pg_basebackup",
        f"--dbname={url}",
        f"--pgdata={data}",
        "--write-recovery-conf",
        "--checkpoint=fast",
        "--no-sync",
    ]
    copied = run(command, folder, account)
    if copied.returncode != 0:
        raise start_error(f"pg_basebackup failed with code {copied.returncode}:\n{copied.stdout}{copied.stderr}")
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(_STANDBY_CONF.format(port=port, folder=folder))
    parts = urlsplit(url)
    password = f":{parts.password}" if parts.password else ""
    own = f"postgresql://{parts.username}{password}@127.0.0.1:{port}{parts.path or '/postgres'}"
    return Server(data, port, own, binaries, account, _start(data, binaries, account))


def _start(data: Path, binaries: PostgresBinaries, account: Account | None) -> ServerProcess:
    folder = data.parent
    process = launch([binaries.bindir / "postgres", "-D", data], folder, account)
    server = ServerProcess("PostgreSQL", process, log_path(folder), signal.SIGQUIT)
    # The file of a server that was killed says that it is ready; the new one uses it to clear up after the old one.
    server.wait_until(lambda: _pid_in(data) == process.pid and postmaster_is_ready(data))
    return server


def _pid_in(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
