"""Check every file below deploy/ with its field's own validator: ``python scripts/check_deploy.py [FOLDER]``.

A validator that is not on this machine is named and left out. Where the environment variable CI is true that is a
failure, and so is always a file that no validator looks at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deploy_checks import cloudformation, kubernetes, pgbouncer, postgresql, systemd, variables
from deploy_checks.verdict import Missing, Refused

from aragora_db.testing.binaries import is_true

DEPLOY = Path(__file__).parents[1] / "deploy"


class Check(NamedTuple):
    """Files, by a pattern; who checks them; and how. Without a function it is a test that does."""

    files: str
    by: str
    check: Callable[[Path], None] | None


CHECKS = (
    Check("systemd/*.service", "systemd-analyze verify", systemd.verify),
    Check("systemd/*.service", "systemd-analyze security", systemd.secure),
    Check("systemd/*.d/*.conf", "systemd-analyze verify", systemd.verify),
    Check("systemd/*.d/*.conf", "aragora_db settings", variables.accepted),
    Check("aragora.env.example", "aragora_db settings", variables.accepted),
    Check("k8s/**/*.yaml", "kubernetes-validate", kubernetes.validate),
    Check("k8s/**/*.yaml", "aragora_db settings", variables.accepted),
    Check("k8s/postgres/configmap.yaml", "postgres -C", postgresql.parses),
    Check("postgres/*.conf", "postgres -C", postgresql.parses),
    Check("postgres/roles.sql", "tests/deploy/test_roles.py", None),
    Check("pgbouncer/*", "pgbouncer", pgbouncer.starts),
    Check("aws/*.yaml", "cfn-lint", cloudformation.lint),
)
EVERY_FILE = Check("**/*", "names of variables", variables.names)


def main(deploy: Path = DEPLOY, *, strict: bool | None = None) -> int:
    """Check, and print a table.

    Args:
        deploy: the folder.
        strict: whether a validator that is missing is a failure; by default where CI is true.

    Returns:
        0 when nothing was refused, else 1.
    """
    strict = is_true(os.environ.get("CI")) if strict is None else strict
    rows = [("file", "checked by", "")]
    reasons: list[str] = []
    for file in sorted(each for each in deploy.rglob("*") if each.is_file()):
        name = file.relative_to(deploy).as_posix()
        checks = [check for check in CHECKS if file in deploy.glob(check.files)]
        if not checks:
            rows.append((name, "nobody", "REFUSED"))
            reasons.append(f"{name}: no validator looks at it; add one to scripts/check_deploy.py")
        for check in (*checks, EVERY_FILE):
            word, reason = verdict(check, file, strict=strict)
            if reason:
                reasons.append(f"{name}: {check.by}: {reason}")
            if reason or check is not EVERY_FILE:
                rows.append((name, check.by, word))
    if len(rows) == 1:
        reasons.append(f"{deploy} holds no files")
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for one, two, three in rows:
        print(f"{one:{widths[0]}}  {two:{widths[1]}}  {three}".rstrip())
    for reason in reasons:
        print(f"\n{reason}", file=sys.stderr)
    return 1 if reasons else 0


def verdict(check: Check, file: Path, *, strict: bool) -> tuple[str, str]:
    """Ask one validator about one file.

    Returns:
        A word for the table, and the reason when it is a failure.
    """
    if check.check is None:
        return "by its test", ""
    try:
        check.check(file)
    except Refused as error:
        return "REFUSED", str(error)
    except Missing as error:
        return f"{'MISSING' if strict else 'skipped'}, not on this machine: {error}", str(error) if strict else ""
    return "ok", ""


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:2])))
