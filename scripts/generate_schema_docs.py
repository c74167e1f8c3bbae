"""Write ``docs/reference/schema.md`` and ``schema.svg`` from the models, or check that they are up to date."""

import argparse
import sys
from pathlib import Path

from schema_diagram import diagram
from schema_page import page
from schema_tables import domains

FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def main() -> int:
    """Returns the exit code: 1 when ``--check`` finds a file that differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is out of date")
    check = parser.parse_args().check
    found = domains()
    stale = []
    for name, text in {"schema.md": page(found), "schema.svg": diagram(found)}.items():
        path = FOLDER / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8", newline="\n")
    if stale:
        verb = "out of date, run make docs" if check else "written"
        print(f"{' and '.join(stale)} in docs/reference: {verb}", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
