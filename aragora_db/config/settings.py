"""The settings of this package: one frozen object, from the environment or from explicit values."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from aragora_db.config.dsn import parse_dsn
from aragora_db.config.fields import ConnectionFields, DatabaseFields, DeploymentFields, RedisFields, SecretsFields
from aragora_db.config.masking import MASK, scheme_only
from aragora_db.config.named_dsn import named_dsn
from aragora_db.config.read_urls import parse_read_urls
from aragora_db.config.variables import (
    SettingsProblem,
    as_error,
    from_variables,
    misspelt_variables,
    read_env_file,
    variable_of,
)
from aragora_db.errors import ConfigurationError

__all__ = ["Settings"]


class Settings(DeploymentFields, RedisFields, SecretsFields, ConnectionFields, DatabaseFields):
    """Everything that can be set, each field by one environment variable; see docs/reference/environment.md.

    ``Settings()`` reads the environment. ``Settings(_env_file=".env")`` reads that file too, below the environment.
    ``Settings.explicit(...)`` reads neither. Keyword arguments, by the name of a field or of its variable, win over
    both. Times are in seconds; 0 is a value, never "unset". It is plain data: `aragora_db.config.resolve` finds the
    database and Redis.

    Raises:
        ConfigurationError: naming every variable that cannot be used, its value unless that is a secret, and what is
            accepted.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
        defer_build=False,  # its fields' groups defer; building it on first use would race between threads
    )

    _misspelt: dict[str, str] = PrivateAttr(default_factory=dict)

    def __init__(
        self,
        *,
        _env_file: Path | str | None = None,
        _variables: Mapping[str, str | None] | None = None,
        **values: Any,
    ) -> None:
        variables = self._environment(_env_file) if _variables is None else _variables
        fields = type(self).model_fields
        misspelt = misspelt_variables(variables, fields)
        given, problems = self._by_field(values)
        found, names, conflicts = from_variables(
            {name: field for name, field in fields.items() if name not in given}, variables
        )
        given |= found
        problems += conflicts
        refused = self._validate(given)
        if refused:
            for name, value in refused.items():
                variable = names.get(name, variable_of(fields[name]).name)
                problems.append(SettingsProblem.with_value(name, fields[name], variable, value))
            # Once more without them, so that the rules between fields can be checked on what is left.
            self._validate({name: value for name, value in given.items() if name not in refused})
        problems += [each for each in _contradictions(self) if not each.fields & refused.keys()]
        if problems:
            raise as_error(problems)
        self._misspelt = misspelt

    @property
    def misspelt(self) -> dict[str, str]:
        """Variables that are set, that nothing here reads, and that look like one that is read, with that one."""
        return dict(self._misspelt)

    @classmethod
    def explicit(cls, **values: Any) -> Self:
        """Build settings from these values and the defaults alone; the environment is not looked at.

        Args:
            **values: fields, by the name of the field or of its variable.

        Raises:
            ConfigurationError: as for ``Settings()``.
        """
        return cls(_variables={}, **values)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What ``repr`` and ``str`` show: DSNs masked, no password."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if not isinstance(value, SecretStr):
                yield name, value
            elif name in {"postgres_dsn", "database_url"}:
                yield name, _masked(value.get_secret_value())
            else:
                yield name, scheme_only(value.get_secret_value()) if name == "redis_url" else MASK

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the environment to ``__init__``.

        pydantic-settings would read a variable named like the bare field (``env``, ``backend``) as well, and takes
        the first of two aliases without a word about the second.
        """
        return (init_settings,)

    @classmethod
    def _environment(cls, env_file: Path | str | None) -> dict[str, str | None]:
        """What is set, the file below the environment; empty values count as unset."""
        file = {} if env_file is None else read_env_file(env_file)
        return {**file, **EnvSettingsSource(cls).env_vars}

    @classmethod
    def _by_field(cls, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[SettingsProblem]]:
        """Keyword arguments by the name of their field; a name that is none would otherwise vanish in silence."""
        known = {name: name for name in cls.model_fields}
        for name, field in cls.model_fields.items():
            variable = variable_of(field)
            known |= dict.fromkeys((variable.name, *variable.aliases), name)
        problems: list[SettingsProblem] = []
        for name in values.keys() - known.keys():
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see docs/reference/environment.md"
            problems.append(SettingsProblem(frozenset(), f"Settings has no field {name}; {hint}"))
        return {known[name]: value for name, value in values.items() if name in known}, problems

    def _validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Fill this object.

        Returns:
            The values that were refused. Were there any, the object is not filled.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            return {str(each["loc"][0]): values[str(each["loc"][0])] for each in error.errors(include_context=False)}
        return {}

    @model_validator(mode="after")
    def _timeouts_follow(self) -> Self:
        """The client's timeout must not come before the server's: what was not given follows what was."""
        given = self.model_fields_set
        if "command_timeout" not in given and not 0 < self.statement_timeout <= self.command_timeout:
            object.__setattr__(self, "command_timeout", float(self.statement_timeout))
        if "statement_timeout" not in given and 0 < self.command_timeout < self.statement_timeout:
            object.__setattr__(self, "statement_timeout", math.floor(self.command_timeout))
        return self


def _masked(text: str) -> str:
    try:
        return parse_dsn(text).masked
    except ConfigurationError:  # a DSN that lost against another one is never checked
        return scheme_only(text)


def _contradictions(settings: Settings) -> Iterator[SettingsProblem]:
    """What is wrong between fields that are each acceptable by themselves."""
    if settings.multi_instance and settings.single_instance:
        yield SettingsProblem(
            frozenset({"multi_instance", "single_instance"}),
            "ARAGORA_MULTI_INSTANCE and ARAGORA_SINGLE_INSTANCE are both true; unset the one that does not hold",
        )
    if 0 < settings.command_timeout < settings.statement_timeout:
        yield SettingsProblem(
            frozenset({"command_timeout", "statement_timeout"}),
            f"ARAGORA_DB_COMMAND_TIMEOUT is {settings.command_timeout:g} and ARAGORA_DB_STATEMENT_TIMEOUT is "
            f"{settings.statement_timeout}; the client must wait at least as long as the server, so that the server "
            "cancels first and the connection lives on. Raise the former, lower the latter, or set only one",
        )
    yield from _redis_modes(settings)
    try:
        parse_read_urls(settings.read_urls)
    except ConfigurationError as error:
        yield SettingsProblem(frozenset({"read_urls"}), str(error))
    try:
        named_dsn(settings)
    except ConfigurationError as error:
        yield SettingsProblem(frozenset(), str(error))  # of accepted fields only: one that was refused is not read


def _redis_modes(settings: Settings) -> Iterator[SettingsProblem]:
    """A mode that nothing was said for, or hosts of a mode that was not chosen."""
    hosts = {"sentinel": settings.redis_sentinel_hosts, "cluster": settings.redis_cluster_nodes}
    fields = {"sentinel": "redis_sentinel_hosts", "cluster": "redis_cluster_nodes"}
    given = [mode for mode in hosts if hosts[mode] is not None]
    chosen = settings.redis_mode
    variables = {mode: f"ARAGORA_{fields[mode].upper()}" for mode in fields}
    if len(given) > 1:
        text = f"{variables['sentinel']} and {variables['cluster']} are both set; Redis is one or the other, unset one"
        yield SettingsProblem(frozenset(fields.values()), text)
    elif chosen in variables and chosen not in given:
        text = f"ARAGORA_REDIS_MODE is {chosen}, but {variables[chosen]} is unset; set it"
        yield SettingsProblem(frozenset({"redis_mode", fields[chosen]}), text)
    elif given and chosen not in {"auto", *given}:
        text = f"ARAGORA_REDIS_MODE is {chosen}, but {variables[given[0]]} is set; unset one of them"
        yield SettingsProblem(frozenset({"redis_mode", fields[given[0]]}), text)
