"""What a check found, and the faults that checks can find: declared once, for the terminal, JSON and the guide."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["Fault", "Finding", "Level", "healthy", "ok", "quoted", "skipped"]

Level: TypeAlias = Literal["ok", "warn", "error", "skipped"]


_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        level: ``skipped`` is a check that does not apply, or that could not be tried.
        name: the fault, such as ``wrong-password``; the check's own name when there is none.
        says: cause and object, or why the check was skipped.
        mend: a command or a setting to paste. Nobody has run it.
        check: the check that found it.
    """

    level: Level
    name: str
    says: str
    mend: str = ""
    check: str = ""

    def as_dict(self) -> dict[str, str]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True)
class Fault:
    """Something that can be wrong.

    Attributes:
        name: what it is called, in reports and in the guide.
        level: how bad it is.
        means: what it means in practice, for the guide.
        mend: what mends it, with ``{names}`` for what is known only when it was found.
    """

    name: str
    level: Literal["warn", "error"]
    means: str
    mend: str

    def found(self, says: str, **values: object) -> Finding:
        """The finding: cause and object, and the values that the mend asks for."""
        return Finding(self.level, self.name, says, self.mend.format(**values))


def ok(says: str) -> Finding:
    """Nothing is wrong; what was seen."""
    return Finding("ok", "", says)


def skipped(reason: str, mend: str = "") -> Finding:
    """The check does not apply, or could not be tried; the command that a person can try instead."""
    return Finding("skipped", "", reason, mend)


def quoted(name: str) -> str:
    """A name as SQL takes it, quoted where it has to be."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def healthy(findings: list[Finding]) -> bool:
    """Whether there is no error among them; warnings do not count."""
    return all(finding.level != "error" for finding in findings)
