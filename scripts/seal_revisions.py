"""Append the revisions that are being released to ``alembic/released.sha256``; refuse to change a line of it."""

import sys

from aragora_db.migrations import lint, scripts


def seal() -> int:
    """Returns the exit code."""
    problems = lint.lint()
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    known = scripts.released()
    new = [stem for stem in scripts.chain() if stem not in known]
    with (scripts.script_location() / scripts.RELEASED).open("a") as manifest:
        manifest.writelines(f"{scripts.checksum(stem)}  {stem}.py\n" for stem in new)
    print(f"{len(new)} revisions sealed")
    return 0


if __name__ == "__main__":
    sys.exit(seal())
