"""Servers run with the files of deploy/, and the package works with them."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
import pytest
import trustme
from postgres_tls import postgres_speaks_tls

from aragora_db import Database, Settings
from aragora_db.config.budget import PoolerSizes, connection_budget
from aragora_db.errors import AragoraDBError
from aragora_db.models import EloRating
from aragora_db.stores import EloStore
from aragora_db.testing.binaries import find_postgres
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import ServerProcess, free_port, launch, log_path, run, server_account
from aragora_db.testing.workspace import give, make_workspace, readable_postgres, remove_workspace, server_folder

NO_SERVER = (
    "no PostgreSQL with TLS and pg_stat_statements here, which deploy/'s files ask for. "
    "Install the package postgresql, with its contrib package"
)


@pytest.fixture(scope="module")
def cluster():
    """A data folder for servers with our files: (its server folder, the programs)."""
    account = server_account()
    binaries = find_postgres()
    if binaries is None:
        missing("no PostgreSQL here. Install the package postgresql")
    workspace = make_workspace(account)
    try:
        binaries = readable_postgres(binaries, workspace, account)
        if not postgres_speaks_tls(binaries.bindir):
            missing(NO_SERVER)
        folder = server_folder(workspace, "postgresql", account)
        initdb = [binaries.bindir / "initdb", "-D", folder / "data", "-U", "postgres", "--auth=trust", "--no-sync"]
        made = run([*initdb, "--encoding=UTF8", "--locale=C"], folder, account)
        assert made.returncode == 0, made.stderr
        yield folder, binaries
    finally:
        remove_workspace(workspace)


@pytest.fixture
def server(request, cluster, deploy, checker, tmp_path):
    """Port and authority of a PostgreSQL with one of our files instead of its own, with TLS and little memory."""
    folder, binaries = cluster
    account = server_account()
    file = deploy / request.param
    document = checker.kubernetes.documents(file)[0] if file.suffix == ".yaml" else None
    text = document["data"]["postgresql.conf"] if document else file.read_text()
    config, port = folder / "postgresql.conf", free_port()
    ours = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "shared_buffers": "16MB",
        "ssl": "on",
        "ssl_key_file": folder / "server.key",
        "ssl_cert_file": folder / "server.crt",
    }
    lines = "".join(f"{name} = '{value}'\n" for name, value in ours.items())
    config.write_text(f"{text}\n{lines}")  # of two lines the last one counts
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    for path in (ours["ssl_key_file"], ours["ssl_cert_file"]):
        path.unlink(missing_ok=True)
    certificate.private_key_pem.write_to_path(ours["ssl_key_file"])
    certificate.cert_chain_pems[0].write_to_path(ours["ssl_cert_file"])
    for path in (config, ours["ssl_key_file"], ours["ssl_cert_file"]):
        path.chmod(0o600)
        give(path, account)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    log_path(folder).unlink(missing_ok=True)
    command = [binaries.bindir / "postgres", "-D", folder / "data", "-c", f"config_file={config}"]
    running = ServerProcess("PostgreSQL", launch(command, folder, account), log_path(folder), signal.SIGQUIT)
    try:
        try:
            running.wait_until(lambda: "ready to accept connections" in running.log.read_text())
        except AragoraDBError as error:
            if 'could not access file "pg_stat_statements"' in str(error):
                missing(NO_SERVER)
            raise
        yield port, tmp_path / "ca.pem"
    finally:
        running.stop()


@pytest.mark.parametrize("server", ["postgres/postgresql.conf", "k8s/postgres/configmap.yaml"], indirect=True)
def test_postgresql_starts_with_our_file(server, monkeypatch):
    """`postgres -C` loads no library: one that does not exist, or a setting of it, is only found at a real start."""
    port, authority = server
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as connection:
        wrong = connection.execute("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL").fetchall()
        assert wrong == []
        connection.execute("DROP EXTENSION IF EXISTS pg_stat_statements")
        connection.execute("CREATE EXTENSION pg_stat_statements")
        assert connection.execute("SELECT count(*) > 0 FROM pg_stat_statements").fetchone() == (True,)
        assert connection.execute("SHOW pg_stat_statements.track").fetchone() == ("top",)

    # What the stack's secret and the drop-in say together: verify-full there, the certificates here.
    url = f"postgresql://postgres@localhost:{port}/postgres?sslmode=verify-full"
    for variable, reachable in ((None, False), (authority, True)):
        if variable is not None:
            monkeypatch.setenv("PGSSLROOTCERT", str(variable))
        database = Database(Settings.explicit(database_url=url))
        try:
            assert database.health()["reachable"] is reachable
        finally:
            database.close()


def test_the_package_works_behind_our_pooler(checker, deploy, tmp_path, fresh_databases, lacks):
    """Transaction mode breaks whoever prepares statements or sets things for a session; we say that we do not."""
    target = psycopg.conninfo.conninfo_to_dict(fresh_databases.url("postgresql"))
    user, password, name = target["user"], target["password"], target["dbname"]
    users = (deploy / "pgbouncer/userlist.txt.example").read_text()
    (tmp_path / "userlist.txt.example").write_text(f'{users}"{user}" "{password}"\n')
    (tmp_path / "pgbouncer.ini").write_text((deploy / "pgbouncer/pgbouncer.ini").read_text())
    upstream = f"aragora = host={target['host']} port={target['port']} dbname={name}"
    # The tests' server has no certificate.
    try:
        pooler = checker.pgbouncer.running(Path(tmp_path), upstream, server_tls_sslmode="prefer")
        with pooler as (_settings, _changed, port, _log):
            url = f"postgresql://{user}:{password}@127.0.0.1:{port}/aragora"
            database = Database(Settings.explicit(database_url=url, pooler="transaction"))
            try:
                for number in range(10):  # past psycopg's own threshold for preparing a statement
                    scores = {"a": 1.0, "b": 0.0}
                    database.transact(
                        lambda session, match=f"m{number}", scores=scores: EloStore(session).record_match(
                            match, list(scores), scores
                        )
                    )
                with database.session(read_only=True) as session:
                    assert session.get(EloRating, "a").wins == 10
            finally:
                database.close()
    except checker.Missing as error:
        lacks(error)


def test_the_poolers_fit_into_the_server(checker, deploy, lacks):
    """The numbers in the ini's comment, worked out: nine instances with a pooler each, five without."""
    try:
        with checker.pgbouncer.running(deploy / "pgbouncer") as (settings, _changed, _port, _log):
            per_pooler = int(settings["default_pool_size"]) + int(settings["reserve_pool_size"])
            clients = int(settings["max_client_conn"])
    except checker.Missing as error:
        lacks(error)

    def fits(instances: int, *, pooled: bool) -> bool:
        sizes = PoolerSizes(per_pooler, clients, poolers=instances) if pooled else None
        return connection_budget(
            instances=instances, pool_size=20, max_overflow=15, max_connections=200, pooler=sizes
        ).fits

    assert [fits(9, pooled=True), fits(10, pooled=True)] == [True, False]
    assert [fits(5, pooled=False), fits(6, pooled=False)] == [True, False]
