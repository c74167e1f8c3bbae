"""RDS IAM authentication: a token that AWS signed stands in for the password, for a quarter of an hour.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from aragora_db.config.dsn import Dsn
from aragora_db.config.secrets.aws_clients import AwsClients, discreet, error_code, failures
from aragora_db.errors import ConfigurationError, SecretUnavailable

__all__ = ["IamTokens", "iam_tokens"]

# Seconds. RDS accepts a token for 15 minutes.
_RENEW_AFTER: Final = 600.0
_VALID_FOR: Final = 870.0

_RDS_HOST: Final = re.compile(r".+\.([a-z0-9-]+)\.rds\.amazonaws\.com", re.IGNORECASE)
_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})

_Place = tuple[str, str, str]


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    made: float


class IamTokens:
    """Puts tokens into DSNs, and keeps each for ten minutes. Thread-safe and fork-safe.

    Args:
        region: of hosts whose name does not say it.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._clients = AwsClients("rds")
        self._tokens: dict[_Place, _Token] = {}

    def check(self, dsn: Dsn) -> None:
        """Refuse early what could never log in.

        Raises:
            ConfigurationError: as for `sign`, or boto3 is missing.
        """
        self._place(dsn)
        failures()

    def sign(self, dsn: Dsn) -> Dsn:
        """The DSN with a token as its password. Making one is arithmetic, once AWS's own credentials are known.

        Raises:
            ConfigurationError: the connection may be unencrypted, or the DSN does not name one host and a user.
            SecretUnavailable: there are no AWS credentials to sign with.
        """
        place = self._place(dsn)
        token = self._tokens.get(place)
        age = time.monotonic() - token.made if token is not None else _VALID_FOR
        if token is None or age >= _RENEW_AFTER:
            try:
                token = self._tokens[place] = self._make(place)
            except SecretUnavailable:
                if token is None or age >= _VALID_FOR:
                    raise
        return replace(dsn, parameters={**dsn.parameters, "password": token.text})

    def refuse(self, dsn: Dsn) -> None:
        """Forget a token that the server did not take."""
        place = self._place(dsn)
        token = self._tokens.get(place)
        if token is not None and token.text == dsn.parameters.get("password"):
            self._tokens.pop(place, None)

    def _make(self, place: _Place) -> _Token:
        host, port, user = place
        named = _RDS_HOST.fullmatch(host)
        region = named[1].lower() if named is not None else self._region
        made = time.monotonic()
        code = ""
        try:
            with discreet():
                text = self._clients.of(region).generate_db_auth_token(host, port, user, Region=region)
        except failures() as error:
            code = error_code(error)
        else:
            return _Token(text, made)
        raise SecretUnavailable(
            f"no IAM token for {user} at {host} could be signed ({region}: {code}); give this process AWS credentials, "
            "or set ARAGORA_PG_IAM_AUTH=false and a password",
            code,
        )

    @staticmethod
    def _place(dsn: Dsn) -> _Place:
        host, port = dsn.parameters.get("host", ""), dsn.parameters.get("port", "5432")
        user, mode = dsn.parameters.get("user", ""), dsn.parameters.get("sslmode", "prefer")
        if mode not in _ENCRYPTED:
            raise ConfigurationError(
                f"ARAGORA_PG_IAM_AUTH is true, but with sslmode={mode} the token may travel unencrypted; set "
                "ARAGORA_PG_SSL_MODE, or sslmode= in the DSN, to verify-full or at least to require"
            )
        if not host or "," in host or "/" in host or not user:
            raise ConfigurationError(
                f"ARAGORA_PG_IAM_AUTH is true, but {dsn.masked} does not name one host and a user, which a token is "
                "for; name them"
            )
        return host, port, user


@cache
def iam_tokens(region: str) -> IamTokens:
    """The tokens of this process."""
    return IamTokens(region)
