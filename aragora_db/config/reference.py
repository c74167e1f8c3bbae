"""The table of variables in docs/reference/environment.md, written from the fields so that it cannot go stale."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aragora_db.config.fields import ConnectionFields, DatabaseFields, DeploymentFields, RedisFields, SecretsFields
from aragora_db.config.variables import accepted, variable_of

__all__ = ["environment_tables"]

_GROUPS: Final = (DatabaseFields, ConnectionFields, SecretsFields, RedisFields, DeploymentFields)


def environment_tables() -> str:
    """Every variable, its default, what it accepts and what it means, as Markdown, one table for each group."""
    return "\n".join(line for group in _GROUPS for line in _table(group))


def _table(group: type[BaseModel]) -> Iterator[str]:
    yield f"## {(group.__doc__ or group.__name__).rstrip('.')}"
    yield ""
    yield "| Name | Default | Accepted | Meaning |"
    yield "|---|---|---|---|"
    for field in group.model_fields.values():
        variable = variable_of(field)
        also = "".join(f" Also `{alias}`." for alias in variable.aliases)
        yield f"| `{variable.name}` | {_default(field)} | {accepted(field)} | {variable.meaning}{also} |"
    yield ""


def _default(field: FieldInfo) -> str:
    value = field.default.value if isinstance(field.default, Enum) else field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "unset" if value is None else f"`{value}`"
