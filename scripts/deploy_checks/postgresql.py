"""Server settings, each asked back from PostgreSQL itself."""

from __future__ import annotations

import re
from pathlib import Path

from aragora_db.testing.binaries import find_postgres
from aragora_db.testing.process import run, server_account
from aragora_db.testing.workspace import make_workspace, readable_postgres, remove_workspace, server_folder
from deploy_checks.kubernetes import documents
from deploy_checks.verdict import Missing, Refused

__all__ = ["effective", "parses"]

_SETTING = re.compile(r"^\s*([a-z_.]+)\s*=", re.MULTILINE)


def parses(file: Path) -> None:
    """Check that PostgreSQL reads the file, and knows every setting and value.

    Raises:
        Refused: with PostgreSQL's message, or because a setting is there twice.
        Missing: no PostgreSQL.
    """
    effective(file)


def effective(file: Path) -> dict[str, str]:
    """What PostgreSQL makes of each setting: numbers in the setting's own unit, such as pages of 8 kB.

    Args:
        file: a postgresql.conf, or the ConfigMap that holds one.

    Raises:
        Refused, Missing: as for `parses`.
    """
    binaries = find_postgres()
    if binaries is None:
        raise Missing("postgres (apt: postgresql)")
    text = documents(file)[0]["data"]["postgresql.conf"] if file.suffix == ".yaml" else file.read_text()
    names = _SETTING.findall(text)
    if twice := {name for name in names if names.count(name) > 1}:
        raise Refused(f"{', '.join(sorted(twice))} is there twice; PostgreSQL takes the last one")
    account = server_account()
    workspace = make_workspace(account)
    try:
        binaries = readable_postgres(binaries, workspace, account)
        folder = server_folder(workspace, "settings", account)
        # It has to be readable for the server's account, and its folder is the data folder, which may be empty here.
        config = workspace / "postgresql.conf"
        config.write_text(text)
        config.chmod(0o644)
        values: dict[str, str] = {}
        for name in names:
            done = run(
                [binaries.bindir / "postgres", "-D", folder, "-c", f"config_file={config}", "-C", name], folder, account
            )
            if done.returncode != 0:
                raise Refused(done.stderr.replace(str(config), file.name).strip())
            values[name] = done.stdout.strip()
        return values
    finally:
        remove_workspace(workspace)
