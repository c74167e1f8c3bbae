"""The pooler's files, checked by starting it with them and asking it for its settings."""

from __future__ import annotations

import configparser
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from aragora_db.errors import AragoraDBError
from aragora_db.testing.binaries import find_pgbouncer
from aragora_db.testing.process import ServerProcess, free_port, launch, log_path, server_account
from aragora_db.testing.workspace import make_workspace, readable_program, remove_workspace, server_folder
from deploy_checks.verdict import Missing, Refused

__all__ = ["running", "starts"]

_HOST = "127.0.0.1"


def starts(file: Path) -> None:
    """Start pgbouncer with its ini and its user list, log in to its console, and compare every setting.

    Args:
        file: either of the two; they are only of use together.

    Raises:
        Refused: it did not start, warned, did not let the administrator in, or runs with another value.
        Missing: no pgbouncer.
    """
    try:
        with running(file.parent) as (settings, changed, port, log):
            users = dict(re.findall(r'^"([^"]*)" "([^"]*)"', _users(file.parent).read_text(), re.MULTILINE))
            admin = settings["admin_users"]
            login: dict[str, Any] = {"host": _HOST, "port": port, "user": admin, "password": users.get(admin, "")}
            with psycopg.connect(**login, dbname="pgbouncer", autocommit=True) as console:
                shown = {row[0]: row[1] for row in console.execute("SHOW CONFIG")}
            if warnings := re.findall(r"(?:WARNING|ERROR|FATAL).*", log.read_text()):
                raise Refused("\n".join(warnings))
    except psycopg.Error as error:
        raise Refused(f"the console: {error}") from None
    for name, value in settings.items():
        if name not in changed and shown.get(name) != value:
            raise Refused(f"{name} is {value} in the file, and {shown.get(name)} in the running pgbouncer")


@contextmanager
def running(
    folder: Path, databases: str | None = None, **overrides: str
) -> Generator[tuple[dict[str, str], set[str], int, Path]]:
    """A pgbouncer with the files of ``folder``; paths and port are changed to private ones.

    Args:
        folder: where pgbouncer.ini and userlist.txt.example are.
        databases: the section [databases] to use instead of the file's.
        **overrides: settings to use instead of the file's.

    Yields:
        The settings of the file, the names of those that were changed, the port, and the log.

    Raises:
        Refused: it did not start; with its log.
        Missing: no pgbouncer.
    """
    binary = find_pgbouncer()
    if binary is None:
        raise Missing("pgbouncer (apt: pgbouncer)")
    ini = configparser.ConfigParser(interpolation=None, comment_prefixes=(";", "#"))
    try:
        ini.read_string((folder / "pgbouncer.ini").read_text())
    except configparser.Error as error:
        raise Refused(str(error)) from None
    settings = dict(ini["pgbouncer"])
    account = server_account()
    workspace = make_workspace(account)
    try:
        private = server_folder(workspace, "pgbouncer", account)
        port = free_port()
        paths = {name: f"{private}/{Path(value).name}" for name, value in settings.items() if value.startswith("/")}
        changes = {**paths, "unix_socket_dir": "", "listen_addr": _HOST, "listen_port": str(port), **overrides}
        ini["pgbouncer"].update(changes)
        files = {"pgbouncer.ini": _text(ini, databases), Path(settings["auth_file"]).name: _users(folder).read_text()}
        if "server_tls_ca_file" in paths:
            files[Path(settings["server_tls_ca_file"]).name] = _authority()
        for name, text in files.items():
            (private / name).write_text(text)
            (private / name).chmod(0o644)
        process = launch(
            [readable_program(binary.path, workspace, account), private / "pgbouncer.ini"], private, account
        )
        server = ServerProcess("PgBouncer", process, log_path(private))
        try:
            try:
                server.wait_until(lambda: f"listening on {_HOST}:{port}" in server.log.read_text())
            except AragoraDBError as error:
                raise Refused(str(error)) from None
            yield settings, set(changes), port, server.log
        finally:
            server.stop()
    finally:
        remove_workspace(workspace)


def _users(folder: Path) -> Path:
    return folder / "userlist.txt.example"


def _text(ini: configparser.ConfigParser, databases: str | None) -> str:
    upstream = databases or "\n".join(f"{name} = {value}" for name, value in ini["databases"].items())
    rest = "\n".join(f"{name} = {value}" for name, value in ini["pgbouncer"].items())
    return f"[databases]\n{upstream}\n[pgbouncer]\n{rest}\n"


def _authority() -> str:
    """A certificate for server_tls_ca_file, which has to be there and to be one."""
    import trustme  # noqa: PLC0415 -- a development dependency

    return trustme.CA().cert_pem.bytes().decode()
