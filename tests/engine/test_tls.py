"""TLS for real: a PostgreSQL with a certificate of its own authority, and of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import trustme
from postgres_tls import postgres_speaks_tls
from sqlalchemy import text

from aragora_db.errors import DatabaseUnavailable
from aragora_db.testing.binaries import find_postgres
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import Account, server_account
from aragora_db.testing.servers import start_postgresql
from aragora_db.testing.workspace import give, make_workspace, remove_workspace


class Encrypted:
    """A PostgreSQL that takes encrypted connections only, with a certificate for ``localhost``.

    Attributes:
        authority: who signed the certificate.
        port: where it listens.
    """

    def __init__(self, workspace: Path) -> None:
        account = server_account()
        binaries = find_postgres()
        if binaries is None:
            missing("no PostgreSQL here: Install the package postgresql")
        if not postgres_speaks_tls(binaries.bindir):
            missing(
                "no PostgreSQL with TLS here: the one found was built without OpenSSL. Install the package postgresql"
            )
        self.authority = trustme.CA()
        self._server, address = start_postgresql(binaries, workspace, account)
        parts = urlsplit(address.admin_url)
        self.port, self._password = parts.port, parts.password
        try:
            self._encrypt(workspace, address.socket_url, account)
        except BaseException:
            self.close()
            raise

    def _encrypt(self, workspace: Path, socket_url: str, account: Account | None) -> None:
        """Give the server its certificate and refuse what is not encrypted."""
        certificate = self.authority.issue_cert("localhost")
        data = workspace / "postgresql" / "data"
        chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
        for name, content in {"server.crt": chain, "server.key": certificate.private_key_pem.bytes()}.items():
            (data / name).write_bytes(content)
            (data / name).chmod(0o600)
            give(data / name, account)
        hba = data / "pg_hba.conf"
        hba.write_text(hba.read_text().replace("host ", "hostssl "))
        with psycopg.connect(socket_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")

    def url(self, host: str = "localhost", **query: object) -> str:
        """The URL over TCP."""
        parameters = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://postgres:{self._password}@{host}:{self.port}/postgres?{parameters}"

    def close(self) -> None:
        """Stop it."""
        self._server.stop()


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Encrypted]:
    """A server for this module."""
    workspace = make_workspace(server_account())
    try:
        server = Encrypted(workspace)
        try:
            yield server
        finally:
            server.close()
    finally:
        remove_workspace(workspace)


@pytest.fixture
def root(encrypted, tmp_path) -> Path:
    """Its authority's certificate."""
    encrypted.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def tls_of(server_case, open_database):
    """Connects with a URL and tells the connection's TLS version, empty when it is not encrypted."""
    statement = text("SELECT coalesce(version, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()")

    def connect(url: str | None, **settings: object) -> str:
        database = open_database(server_case, url, **settings)
        if not server_case.is_async:
            with database.engine.connect() as connection:
                return str(connection.scalar(statement))

        async def ask() -> str:
            async with database.async_engine.connect() as connection:
                return str(await connection.scalar(statement))

        return database._runner.run(ask())

    return connect


@pytest.fixture(autouse=True)
def no_root_certificate_of_the_user(monkeypatch, tmp_path):
    """What lies in somebody's ~/.postgresql must not decide a test."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_our_own_authority_is_accepted(encrypted, root, tls_of, mode):
    """A private authority is what most companies have; refused, TLS is switched off."""
    assert tls_of(encrypted.url(sslmode=mode, sslrootcert=root)).startswith("TLSv1.")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_another_authority_is_refused(encrypted, tmp_path, tls_of, mode):
    """Somebody in between has a certificate too, only not from our authority."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(DatabaseUnavailable):
        tls_of(encrypted.url(sslmode=mode, sslrootcert=tmp_path / "other.pem"))


def test_another_name_is_refused(encrypted, root, tls_of):
    """A certificate of our own authority, for another of its machines, is as good as a stranger's."""
    by_number = {"host": "127.0.0.1", "sslrootcert": root}
    with pytest.raises(DatabaseUnavailable):
        tls_of(encrypted.url(sslmode="verify-full", **by_number))
    assert tls_of(encrypted.url(sslmode="verify-ca", **by_number)).startswith("TLSv1.")


def test_without_an_authority_nothing_is_verified(encrypted, tls_of):
    """verify-full that silently verified nothing would be worse than require, which says what it does."""
    with pytest.raises(DatabaseUnavailable):
        tls_of(encrypted.url(sslmode="verify-full"))
    assert tls_of(encrypted.url(sslmode="require")).startswith("TLSv1.")


def test_what_must_be_encrypted_is_refused_in_the_clear(encrypted, tls_of):
    """The server takes encrypted connections only: a client that gave up on TLS would show its password."""
    with pytest.raises(DatabaseUnavailable):
        tls_of(encrypted.url(sslmode="disable"))


def test_a_server_without_tls_is_refused(postgres_server, tls_of):
    """Whoever sits in between answers that there is no TLS; sslmode=require must not believe it."""
    with pytest.raises(DatabaseUnavailable):
        tls_of(f"{postgres_server.admin_url}?sslmode=require")
    assert tls_of(f"{postgres_server.admin_url}?sslmode=prefer") == ""


def test_by_single_variables(encrypted, root, monkeypatch, tls_of):
    """ARAGORA_PG_SSL_MODE was read and never used once; here it decides, with libpq's own PGSSLROOTCERT."""
    parts = urlsplit(encrypted.url())
    monkeypatch.setenv("PGSSLROOTCERT", str(root))
    values = {"pg_host": "localhost", "pg_port": parts.port, "pg_database": "postgres", "pg_user": "postgres"}
    assert tls_of(None, **values, pg_password=parts.password, pg_ssl_mode="verify-full").startswith("TLSv1.")
    with pytest.raises(DatabaseUnavailable):
        tls_of(None, **values | {"pg_host": "127.0.0.1"}, pg_password=parts.password, pg_ssl_mode="verify-full")
