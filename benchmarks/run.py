"""Run benchmarks, print their tables, and keep them in ``benchmarks/results``."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from measure import RESULTS, Result

NO_BENCHMARKS = {"grown", "import_data", "import_peers", "import_runs", "measure", "run"}
ONLY_BY_NAME = {"import", "import_memory"}  # take ten minutes: make bench-import


def main() -> int:
    """Returns the exit code."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_BENCHMARKS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(known)}; all of them by default")
    parser.add_argument("--runs", type=int, default=21, help="how often each thing is measured (default 21)")
    options = parser.parse_args()
    unknown = set(options.names) - set(known)
    if unknown or options.runs < 1:
        parser.error(f"no benchmark: {', '.join(sorted(unknown))}" if unknown else "--runs must be at least 1")
    for name in options.names or [name for name in known if name not in ONLY_BY_NAME]:
        _run(name, options.runs)
    return 0


def _run(name: str, runs: int) -> None:
    result: Result = importlib.import_module(name).measure(runs)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(result.markdown(), encoding="utf-8", newline="\n")
    print(result.markdown())


if __name__ == "__main__":
    sys.exit(main())
