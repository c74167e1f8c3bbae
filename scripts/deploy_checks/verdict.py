"""How a validator says no, or that it is not here."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["Missing", "Refused", "run"]


class Refused(Exception):
    """The file is wrong; the message is the validator's own."""


class Missing(Exception):
    """The validator is not on this machine; the message says which one and where it comes from."""


def run(command: list[str | Path]) -> str:
    """Run a validator.

    Returns:
        What it said.

    Raises:
        Refused: it ended with another code than 0; with everything it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 -- a validator we looked up
    said = (done.stdout + done.stderr).strip()
    if done.returncode != 0:
        raise Refused(said or f"{Path(command[0]).name} ended with code {done.returncode}")
    return said
