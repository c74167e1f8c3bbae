"""CloudFormation templates, checked by cfn-lint with the schemas it carries."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from deploy_checks.verdict import Missing, run

__all__ = ["lint"]


# cfn-lint leaves what a function chooses unchecked where it compares a value with AWS's price list.
_IF = re.compile(r"!If \[\w+, ([\w.]+), ([\w.]+)\]")


def lint(file: Path) -> None:
    """Check types, properties, values and best practices; warnings and hints count as well.

    Then the errors once more for each side of the template's conditions, the chosen value in the function's place.

    Raises:
        Refused: with cfn-lint's list.
        Missing: no cfn-lint.
    """
    beside = Path(sys.executable).parent  # a virtual environment's programs, also when it is not activated
    program = shutil.which("cfn-lint", path=beside) or shutil.which("cfn-lint")
    if program is None:
        raise Missing("cfn-lint (pip)")
    run([program, "--include-checks", "I", "--", file])
    text = file.read_text()
    if not _IF.search(text):
        return
    with tempfile.TemporaryDirectory() as folder:
        sides = [Path(folder) / name / file.name for name in ("true", "false")]
        for side, chosen in zip(sides, (r"\1", r"\2"), strict=True):
            side.parent.mkdir()
            side.write_text(_IF.sub(chosen, text))
        run([program, "--ignore-checks", "W", "--", *sides])  # one start: most of its time is imports
