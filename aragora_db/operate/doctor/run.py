"""`diagnose`: every check, one after the other, on one examination."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aragora_db.config import Settings
from aragora_db.operate.doctor.check import carry_out
from aragora_db.operate.doctor.context import Examination
from aragora_db.operate.doctor.finding import Finding
from aragora_db.operate.doctor.table import checks

__all__ = ["diagnose"]


def diagnose(load: Callable[[], Settings], *, urls: Sequence[str] = ()) -> list[Finding]:
    """Look at everything, and change nothing.

    Args:
        load: reads the settings; one that raises `ConfigurationError` is the first finding.
        urls: where running instances answer HTTP, such as ``http://10.0.0.7:8080``.

    Returns:
        The findings, in the order of the table. Never raises for what it finds.
    """
    found: list[Finding] = []
    unsettled: set[str] = set()
    with Examination(load, urls) as examination:
        for check in checks():
            blocked = check.blocked_by(examination, unsettled) is not None
            findings = carry_out(check, examination, unsettled)
            if blocked or any(finding.level == "error" for finding in findings):
                unsettled.add(check.name)
            found += findings
    return found
