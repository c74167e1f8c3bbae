"""The way to a server: names, ports, firewalls, strangers, TLS and certificates, each put out of order for real."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from support import HANG_SECONDS

from aragora_db.testing.process import free_port


def test_an_unknown_host(examine):
    """A typing error in the host would look like a broken network."""
    report = examine(database_url="postgresql://ann:Zk9-secret@nonexistent.invalid/aragora")
    assert report.errors == ["unknown-host"]
    assert "nonexistent.invalid" in report["unknown-host"].message
    assert report["unknown-host"].fix.startswith("getent hosts nonexistent.invalid")
    assert report["port"].message == "not tried, because host has to be in order first"


def test_a_closed_port(examine):
    """A server that is down, or another port, needs another person than a firewall does."""
    port = free_port()
    report = examine(database_url=f"postgresql://ann:Zk9-secret@127.0.0.1:{port}/aragora")
    assert report.errors == ["closed-port"]
    assert report["closed-port"].message == f"127.0.0.1:{port}: nothing listens there"
    assert f"pg_isready -h 127.0.0.1 -p {port}" in report["closed-port"].fix
    assert "ARAGORA_PG_PORT" in report["closed-port"].fix


def test_a_firewall_that_drops_packets(silent_port, examine):
    """The security group is the most common fault of all, and looks like waiting."""
    report = examine(database_url=f"postgresql://ann:Zk9-secret@127.0.0.1:{silent_port}/aragora", connect_timeout=2)
    assert report.errors == ["no-answer"]
    assert report["no-answer"].message == f"127.0.0.1:{silent_port}: nobody answers"
    assert "security group" in report["no-answer"].fix


def test_a_missing_socket(tmp_path, examine):
    """Somebody who gave the wrong folder for the socket would look for a network fault."""
    report = examine(database_url=f"postgresql:///aragora?host={tmp_path}")
    assert report.errors == ["unknown-host"]
    assert str(tmp_path) in report["unknown-host"].message


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port where somebody answers who has never heard of PostgreSQL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def test_a_stranger_on_the_port(stranger, examine):
    """Another program on the port would look like a protocol error of PostgreSQL."""
    report = examine(database_url=f"postgresql://ann:Zk9-secret@127.0.0.1:{stranger}/aragora")
    assert report.errors == ["not-postgresql"]


def test_one_host_of_two(healthy_url, examine):
    """Of several hosts one will do: an error would call a working deployment broken."""
    port = free_port()
    two = healthy_url.replace("@127.0.0.1:", f"@127.0.0.1:{port},127.0.0.1:")
    report = examine(database_url=two)
    assert report.errors == []
    assert report["closed-port"].level == "warn"


def test_missing_tls(healthy_url, examine):
    """The guide's sslmode=require meets a server without certificates."""
    report = examine(database_url=f"{healthy_url}?sslmode=require")
    assert report.errors == ["no-tls"]
    assert "sslmode=require" in report["no-tls"].message
    assert report["login"].message == "not tried, because tls has to be in order first"


def test_a_network_in_the_clear(own_postgres, examine):
    """With sslmode=prefer and a server without TLS everybody on the way reads along, and nothing says so.

    Every address of this machine that is not its usual one has to stand for another machine's.
    """
    report = examine(database_url=own_postgres.url("127.0.0.2"))
    assert report["not-encrypted"].level == "warn"
    assert "127.0.0.2" in report["not-encrypted"].message


# -- certificates -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Our own certificate authority."""
    return trustme.CA()


@pytest.fixture
def root(authority, tmp_path) -> str:
    """Its certificate, as a file."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def test_a_certificate_of_our_own_authority(own_postgres, certify, authority, root, examine):
    """What is right must not be warned about, or the warning is switched off."""
    certify(authority.issue_cert("localhost", "127.0.0.1"))
    report = examine(database_url=own_postgres.url("localhost", sslmode="verify-full", sslrootcert=root))
    assert report.errors == []
    assert "trusted" in report["certificate"].message
    assert report["login"].level == "ok"


def test_an_untrusted_certificate(own_postgres, certify, authority, tmp_path, examine):
    """Somebody in between shows a certificate of his own: this is what verify-full is for."""
    certify(authority.issue_cert("localhost"))
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    for mode in ("verify-ca", "verify-full"):
        url = own_postgres.url("localhost", sslmode=mode, sslrootcert=tmp_path / "other.pem")
        report = examine(database_url=url)
        assert report.errors == ["untrusted-certificate"]
        assert report["login"].level == "skipped"


def test_a_certificate_for_another_name(own_postgres, certify, authority, root, examine):
    """A certificate of the same authority, for another of its servers."""
    certify(authority.issue_cert("db.example"))
    report = examine(database_url=own_postgres.url("localhost", sslmode="verify-full", sslrootcert=root))
    assert report.errors == ["wrong-host-name"]
    assert "DNS:localhost" in report["wrong-host-name"].fix
    report = examine(database_url=own_postgres.url("localhost", sslmode="verify-ca", sslrootcert=root))
    assert report.errors == []


def test_an_expired_certificate(own_postgres, certify, authority, root, examine):
    """Renewal was forgotten: the most common outage that TLS brings."""
    certify(authority.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1)))
    report = examine(database_url=own_postgres.url("localhost", sslmode="verify-full", sslrootcert=root))
    assert report.errors == ["expired-certificate"]
    assert "-dates" in report["expired-certificate"].fix


def test_a_certificate_that_ends_soon(own_postgres, certify, authority, root, examine):
    """Three weeks are enough to renew it, a day is not."""
    certify(authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=5)))
    report = examine(database_url=own_postgres.url("localhost", sslmode="verify-full", sslrootcert=root))
    assert report.errors == []
    assert report["certificate-expires-soon"].level == "warn"


def test_no_authority_to_trust(own_postgres, certify, authority, examine):
    """The client looks for a file that nobody made, and calls it a certificate error."""
    certify(authority.issue_cert("localhost"))
    report = examine(database_url=own_postgres.url("localhost", sslmode="verify-full"))
    assert report.errors == ["no-root-certificate"]


def test_a_certificate_that_nobody_looks_at(own_postgres, certify, authority, examine):
    """The guide's sslmode=require is no error, and the report says what it does not protect from."""
    certify(authority.issue_cert("db.example"))
    report = examine(database_url=own_postgres.url("localhost", sslmode="require"))
    assert report.errors == []
    assert "whose certificate it is, is not looked at" in report["certificate"].message


def test_no_common_version(own_postgres, certify, authority, root, examine, eventually):
    """The server was hardened to TLS 1.3, and the client was told to stop at 1.2."""
    certify(authority.issue_cert("localhost"))
    own_postgres.set(ssl_min_protocol_version="TLSv1.3")
    url = own_postgres.url("localhost", sslmode="verify-full", sslrootcert=root, ssl_max_protocol_version="TLSv1.2")
    try:
        report = eventually(
            lambda: (found := examine(database_url=url)).errors and found, "the server's setting is in force"
        )
        assert report.errors == ["tls-failed"]
    finally:
        own_postgres.set(ssl_min_protocol_version="TLSv1.2")
