"""AWS Secrets Manager as a source of secrets: regions in turn, a cache, and the last good answer when all are away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from aragora_db.at_fork import reset_after_fork
from aragora_db.config.refreshing_value import LastGood
from aragora_db.config.secrets.aws_clients import AwsClients, discreet, error_code, failures
from aragora_db.config.secrets.secret_text import DATABASE_NAMES, read_secret
from aragora_db.errors import ConfigurationError, SecretUnavailable

if TYPE_CHECKING:
    from aragora_db.config.settings import Settings

__all__ = ["SecretsManager", "secrets_manager"]

_ARN: Final = "arn:"
_NOT_FOUND: Final = "ResourceNotFoundException"
_MEND: Final = "see ARAGORA_SECRET_NAME, AWS_REGION, ARAGORA_SECRET_REGIONS, the IAM policy and the network"

_Values = dict[str, str]


class SecretsManager:
    """A secret of AWS, and the one named ``<name>/database`` where the first names no database.

    Thread-safe and fork-safe. Only the first `get` waits for AWS, for 10 seconds a region at the most.

    Args:
        name: of the secret, or its ARN. An ARN has no ``/database`` beside it.
        regions: where to ask, in this order; the next one is asked when one does not answer, or not with the secret.
        ttl: age, in seconds, at which an answer is asked for again.
    """

    def __init__(self, name: str, regions: Iterable[str], ttl: float) -> None:
        self._name, self._clients = name, AwsClients("secretsmanager")
        own = name.split(":")[3:4] if name.startswith(_ARN) else []
        self._regions = tuple(dict.fromkeys([*own, *regions]))
        self._main: LastGood[_Values | None] = LastGood(f"secret {name}", self._read_main, ttl)
        self._database: LastGood[_Values | None] = LastGood(f"secret {name}/database", self._read_database, ttl)
        reset_after_fork(self)

    def __repr__(self) -> str:
        """Where it asks, and nothing of what it was told."""
        return f"SecretsManager({self._name!r}, {self._regions!r})"

    def get(self, name: str) -> str | None:
        """The secret that stands in for an environment variable, or None when AWS has none.

        Raises:
            SecretUnavailable: no region answered yet, or none has the secret.
            ConfigurationError: the secret cannot be read, or boto3 is missing.
        """
        main = self._main.get()
        if main is not None and (name not in DATABASE_NAMES or not main.keys().isdisjoint(DATABASE_NAMES)):
            return main.get(name)
        database = self._database.get()
        if database is None and main is None:
            raise self._nowhere()
        return database.get(name) if database is not None and name in DATABASE_NAMES else None

    def refresh(self) -> bool:
        """Ask again now, at most once a second; callers at the same time share the answer. Never raises.

        Returns:
            Whether a secret is another one than before.
        """
        before = self._main.last, self._database.last
        for secret in self._asked():
            secret.refresh()
        return before != (self._main.last, self._database.last)

    def health(self) -> dict[str, Any]:
        """Age and state, see `RotatingSource`. Has an old answer asked for again, but does not wait for it."""
        asked = self._asked()
        for secret in asked:
            secret.touch()
        errors = [secret.error for secret in asked if secret.error is not None]
        ages = [secret.age for secret in asked if secret.age is not None]
        return {
            "source": "aws",
            "age_seconds": round(max(ages), 3) if ages else None,
            "stale": bool(errors),
            "error": getattr(errors[0], "code", type(errors[0]).__name__) if errors else None,
        }

    def reset_after_fork(self) -> None:
        """What a forked child does first, by itself."""
        self._main.reset_after_fork()
        self._database.reset_after_fork()

    def _asked(self) -> list[LastGood[_Values | None]]:
        return [each for each in (self._main, self._database) if each.age is not None or each.error is not None]

    def _read_main(self) -> _Values | None:
        found = self._read(self._name)
        if found is None and self._main.last is not None:
            raise self._nowhere()  # deleted, or the network is another one now: the last good values stay
        return found

    def _read_database(self) -> _Values | None:
        found = None if self._name.startswith(_ARN) else self._read(f"{self._name}/database")
        if found is None and self._database.last is not None:
            raise self._nowhere()
        return found

    def _read(self, name: str) -> _Values | None:
        """Ask the regions in turn.

        Returns:
            The secret's values, or None when every region says that it has no such secret.
        """
        codes: dict[str, str] = {}
        for region in self._regions:
            try:
                with discreet():
                    answer = self._clients.of(region).get_secret_value(SecretId=_in_region(name, region))
            except failures() as error:
                codes[region] = error_code(error)
                continue
            if "SecretBinary" in answer:
                raise ConfigurationError(f"the secret {name} is binary; store a JSON object as its text")
            if "SecretString" in answer:
                return read_secret(answer["SecretString"], name)
            codes[region] = "NoSecretString"  # somebody else answers in AWS's place, such as a proxy's login page
        if set(codes.values()) == {_NOT_FOUND}:
            return None
        told = ", ".join(f"{region}: {code}" for region, code in codes.items())
        raise SecretUnavailable(
            f"no region of AWS answered with the secret {name} ({told}); {_MEND}", next(iter(codes.values()))
        )

    def _nowhere(self) -> SecretUnavailable:
        told = ", ".join(f"{region}: {_NOT_FOUND}" for region in self._regions)
        return SecretUnavailable(
            f"AWS has neither a secret {self._name} nor {self._name}/database ({told}); {_MEND}", _NOT_FOUND
        )


def _in_region(name: str, region: str) -> str:
    """The ARN of a secret's replica differs in the region only; a name is the same everywhere."""
    if not name.startswith(_ARN):
        return name
    parts = name.split(":")
    return ":".join([*parts[:3], region, *parts[4:]])


def secrets_manager(settings: Settings) -> SecretsManager:
    """The source that settings describe; one in a process for the same secret, regions and time to live."""
    listed = (region.strip() for region in settings.secret_regions.split(","))
    key = (
        settings.secret_name,
        tuple(dict.fromkeys([settings.aws_region, *filter(None, listed)])),
        settings.secret_ttl,
    )
    if key not in _shared:
        _shared.setdefault(key, SecretsManager(*key))
    return _shared[key]


_shared: dict[tuple[str, tuple[str, ...], int], SecretsManager] = {}
