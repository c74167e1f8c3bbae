"""How a field of the settings is tied to its environment variable, and how variables become field values."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from annotated_types import Ge, Le
from dotenv.parser import parse_stream
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from aragora_db.config.masking import MASK, shown
from aragora_db.errors import ConfigurationError

__all__ = [
    "SettingsProblem",
    "Variable",
    "accepted",
    "as_error",
    "from_variables",
    "misspelt_variables",
    "read_env_file",
    "variable_of",
]

_TRUTH: Final = "true or false (also 1, 0, yes, no, on, off)"


@dataclass(frozen=True)
class Variable:
    """The environment variable of a field, to stand in its ``Annotated``.

    Attributes:
        name: the variable.
        meaning: what it does, for the reference.
        accepts: what it accepts; left empty where the field's type and range say it.
        unit: unit of a number, or a note on one of its values.
        aliases: other names of the same thing.
        first_wins: whether an alias with another value is ignored instead of being an error.
        secret: whether the value must never be shown.
    """

    name: str
    meaning: str
    accepts: str = ""
    unit: str = ""
    aliases: tuple[str, ...] = ()
    first_wins: bool = False
    secret: bool = False


@dataclass(frozen=True)
class SettingsProblem:
    """Something that is wrong with the settings.

    Attributes:
        fields: the fields concerned.
        text: cause and object, and what is accepted instead.
    """

    fields: frozenset[str]
    text: str

    @classmethod
    def with_value(cls, name: str, field: FieldInfo, variable: str, value: object) -> SettingsProblem:
        """A value that its field does not accept; a secret is not shown."""
        text = MASK if variable_of(field).secret else shown(value)
        return cls(frozenset({name}), f"{variable} is {text}; accepted is {accepted(field)}")


def variable_of(field: FieldInfo) -> Variable:
    """The variable that a field of ``Settings`` declares."""
    return next(each for each in field.metadata if isinstance(each, Variable))


def misspelt_variables(variables: Mapping[str, str | None], fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Names among them that are no variable of ours, with the one that was probably meant.

    Aragora has many more variables that begin like ours. None that is known to us is as near as this.
    """
    known = {name for field in fields.values() for name in (variable_of(field).name, *variable_of(field).aliases)}
    found: dict[str, str] = {}
    for name in variables:
        if name.startswith("ARAGORA_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            found |= {name: near[0]} if near else {}
    return found


def accepted(field: FieldInfo) -> str:
    """What a field accepts, in words."""
    variable = variable_of(field)
    if variable.accepts:
        return variable.accepts
    if bool in (field.annotation, *get_args(field.annotation)):
        return _TRUTH
    low = next(each.ge for each in field.metadata if isinstance(each, Ge))
    high = next(each.le for each in field.metadata if isinstance(each, Le))
    kind = "a whole number" if field.annotation is int else "a number"
    return f"{kind} from {low} to {high}" + (f" ({variable.unit})" if variable.unit else "")


def read_env_file(path: Path | str) -> dict[str, str | None]:
    """The variables that a file sets, values taken as they are; an empty value counts as unset.

    ``${NAME}`` is not replaced: it may stand in a password, and systemd, which reads the same file, would not.

    Raises:
        ConfigurationError: it cannot be read, or a line is none of that form. Left out, that line could be the
            DATABASE_URL without which a server runs on SQLite.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(
            f"The environment file {path} does not exist; create it, or do not ask for it"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The environment file {path} is not UTF-8; save it as UTF-8") from None
    except OSError as problem:
        raise ConfigurationError(
            f"The environment file {path} cannot be read ({type(problem).__name__}); name one that this user can read"
        ) from None
    lines = [each for each in parse_stream(io.StringIO(text)) if each.error or each.key is not None]
    wrong = [str(each.original.line) for each in lines if each.error or each.value is None]
    if wrong:
        raise ConfigurationError(
            f"The environment file {path} has lines that are not NAME=value: {', '.join(wrong)}. Correct them, or "
            "begin them with #; nothing of it was used"
        )
    return {each.key: each.value for each in lines if each.key is not None and each.value}


def from_variables(
    fields: Mapping[str, FieldInfo], variables: Mapping[str, str | None]
) -> tuple[dict[str, str], dict[str, str], list[SettingsProblem]]:
    """Pick the values of fields out of a mapping of variables.

    Args:
        fields: the fields, by name.
        variables: what is set. Names that belong to no field are ignored.

    Returns:
        The value of each field that has one, the name of the variable it came from, and the contradictions between
        names of the same thing.
    """
    values: dict[str, str] = {}
    names: dict[str, str] = {}
    problems: list[SettingsProblem] = []
    for name, field in fields.items():
        variable = variable_of(field)
        found = [
            (each, value) for each in (variable.name, *variable.aliases) if (value := variables.get(each)) is not None
        ]
        if not found:
            continue
        names[name], values[name] = found[0]
        for other, value in [] if variable.first_wins else found[1:]:
            if not _same(field, values[name], value):
                one, two = (MASK, MASK) if variable.secret else (shown(values[name]), shown(value))
                text = f"{names[name]} is {one} and {other}, another name for it, is {two}; set {variable.name} only"
                problems.append(SettingsProblem(frozenset({name}), text))
    return values, names, problems


def _same(field: FieldInfo, one: str, other: str) -> bool:
    """Whether two texts mean the same to a field, as ``true`` and ``1`` do."""
    if one == other:
        return True
    kind: Any = field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        return bool(adapter.validate_python(one) == adapter.validate_python(other))
    except ValidationError:
        return False


def as_error(problems: list[SettingsProblem]) -> ConfigurationError:
    """Put every problem into one error, so that a deployment is mended in one go."""
    if len(problems) == 1:
        return ConfigurationError(problems[0].text)
    lines = "".join(f"\n  {number}. {problem.text}" for number, problem in enumerate(problems, start=1))
    return ConfigurationError(f"{len(problems)} things are wrong with the settings:{lines}")
