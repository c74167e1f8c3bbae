"""What importing the package costs, against the ORM that it stands on."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from importlib.metadata import distributions

from measure import Result, against, in_turns

PEER = "import sqlalchemy.orm"
SETTINGS = "import sqlalchemy.orm, pydantic_settings"
OURS = ("import aragora_db", "from aragora_db import Database, Settings")
NOTE = """\
Bar: 1.3 or less. The second row is what the dependencies cost alone. pydantic looks for plugins in every installed
distribution, of which there are {} here and fewer in an installation without the development tools."""

# Timed inside the new process: starting Python is no part of it. -P keeps the working directory out of the search.
_TIMED = "from time import perf_counter as now; start = now(); {}; print(now() - start)"


def measure(runs: int) -> Result:
    """Each import in a new process, in turns."""
    seconds = in_turns({code: partial(_import, code) for code in (PEER, SETTINGS, *OURS)}, runs)
    note = NOTE.format(len(list(distributions())))
    return Result("import_time", "Import time", against(PEER, seconds), notes=(note,))


def _import(code: str) -> float:
    command = [sys.executable, "-P", "-c", _TIMED.format(code)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
