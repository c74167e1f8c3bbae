"""Units, checked by systemd-analyze in a folder that stands for the machine they are meant for."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from deploy_checks.verdict import Missing, Refused, run

__all__ = ["secure", "verify"]

_OLDEST = 250  # --recursive-errors and `security --offline`
_EXPOSURE = 20  # tenths; an unhardened service has 92, systemd calls up to 2.0 OK
_UNITS = ("basic.target", "shutdown.target", "sysinit.target", "system.slice")


def verify(file: Path) -> None:
    """Check a unit, or a drop-in together with its unit. A warning counts: systemd ignores a line it does not know.

    Raises:
        Refused: a directive or a value that systemd does not know, or a percent sign that is not doubled.
        Missing: no systemd-analyze, or one that is too old.
    """
    program = _program()
    with tempfile.TemporaryDirectory() as name:
        unit = _machine(Path(name), file)
        said = run([program, "verify", "--man=no", "--recursive-errors=no", f"--root={name}", unit])
    if said:
        raise Refused(said)


def secure(file: Path) -> None:
    """Hold a unit to the hardening it has.

    Raises:
        Refused: systemd's exposure level is above 2.0; with the lines that cost most.
        Missing: as for `verify`.
    """
    program = _program()
    with tempfile.TemporaryDirectory() as name:
        unit = _machine(Path(name), file)
        run([program, "security", "--offline=true", f"--threshold={_EXPOSURE}", "--no-pager", f"--root={name}", unit])


def _program() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        raise Missing("systemd-analyze (apt: systemd)")
    version = re.search(r"systemd (\d+)", run([program, "--version"]))
    if version is None or int(version.group(1)) < _OLDEST:
        raise Missing(f"systemd-analyze {_OLDEST} or newer")
    return program


def _machine(root: Path, file: Path) -> str:
    """Put the unit, what it names and stand-ins for the programs it starts below ``root``.

    Returns:
        The unit's name.
    """
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    drop_in = file.parent if file.parent.suffix == ".d" else None
    unit = drop_in.with_suffix("") if drop_in is not None else file
    shutil.copy(unit, units)
    if drop_in is not None:
        shutil.copytree(drop_in, units / drop_in.name)
    text = "\n".join(each.read_text() for each in units.rglob("*") if each.is_file())
    for name in {*_UNITS, *re.findall(r"\b[\w-]+\.target\b", text)}:
        (units / name).write_text("[Unit]\nDescription=a stand-in\n")
    for path in re.findall(r"^Exec\w+\s*=\s*[-@:+!]*(/\S+)", text, re.MULTILINE):
        program = root / path.removeprefix("/")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return unit.name
