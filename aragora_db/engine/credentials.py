"""Which DSN a new connection logs in with, and what is tried when the server refuses it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from aragora_db.config import Dsn, detect_pooler
from aragora_db.config.secrets.rds_iam import IamTokens, iam_tokens
from aragora_db.engine.target import Target
from aragora_db.errors import AragoraDBError, ConfigurationError

__all__ = ["Credentials"]

T = TypeVar("T")

log = logging.getLogger("aragora_db.engine")


class Credentials:
    """The DSN of a target whose password can change while its pool is open.

    Args:
        target: says where to ask.
        driver_error: the driver's own error class.
        away: runs what may wait for the network, without holding an event loop up.

    Raises:
        ConfigurationError: IAM tokens are asked for, and this DSN does not allow them.
    """

    def __init__(self, target: Target, driver_error: type[Exception], away: Callable[[Callable[[], Dsn]], Dsn]) -> None:
        self._target, self._driver_error, self._away = target, driver_error, away
        self._known = target.dsn
        self._worked: Dsn | None = None
        self._complaint = ""
        self._tokens: IamTokens | None = None
        if target.settings.pg_iam_auth:
            self._tokens = iam_tokens(target.settings.aws_region)
            self._tokens.check(target.dsn)

    def log_in(self, connect: Callable[[Dsn], T]) -> T:
        """Open a connection; when the server refuses the password, look for another one, once.

        The last one that worked comes before a question to the source: a rotation may write the secret first and
        change the role afterwards.
        """
        refused: dict[Dsn, Exception] = {}
        newest = self._away(self._current)
        for last_round in (False, True):
            offers = dict.fromkeys([newest, *self._before(newest)])
            # What was refused alone is refused again; of two, one may be right by now.
            for dsn in offers if newest not in refused or len(refused) > 1 else ():
                try:
                    return self._noted(connect, dsn)
                except self._driver_error as error:
                    if not _is_refusal(error, dsn):
                        raise
                    refused[dsn] = error
            if not last_round:
                if self._tokens is not None:
                    self._tokens.refuse(newest)
                newest = self._away(self._renewed)
        raise refused[newest]

    def _noted(self, connect: Callable[[Dsn], T], dsn: Dsn) -> T:
        connection = connect(dsn)
        self._worked = dsn
        return connection

    def _before(self, newest: Dsn) -> list[Dsn]:
        """The last login that worked, if it was at the same place: another database must not be used by mistake."""
        return [self._worked] if self._worked is not None and _place(self._worked) == _place(newest) else []

    def _current(self) -> Dsn:
        if self._target.where is not None:
            try:
                dsn = self._target.where()
                self._check(dsn)
            except Exception as error:  # noqa: BLE001 -- the source may be anybody's
                self._complain(error)
            else:
                self._known = dsn
        return self._known if self._tokens is None else self._tokens.sign(self._known)

    def _renewed(self) -> Dsn:
        if self._target.renew is not None:
            try:
                self._target.renew()
            except Exception as error:  # noqa: BLE001 -- as above
                self._complain(error)
        return self._current()

    def _check(self, dsn: Dsn) -> None:
        """What an engine cannot follow, because it was built for it."""
        ours, pooler = self._target.dsn, self._target.settings.pooler
        if dsn.backend != ours.backend or detect_pooler(dsn, pooler) is not detect_pooler(ours, pooler):
            raise ConfigurationError(
                f"the secrets source now names {dsn.masked}, which needs another kind of engine; restart this process"
            )

    def _complain(self, error: Exception) -> None:
        """Say once what is the matter: with many connections it happens many times."""
        # Another's message may hold a secret.
        reason = str(error) if isinstance(error, AragoraDBError) else type(error).__name__
        if reason != self._complaint:
            self._complaint = reason
            log.warning("new connections go on with the last good DSN, because %s", reason)


def _place(dsn: Dsn) -> dict[str, str]:
    return {name: value for name, value in dsn.parameters.items() if name not in {"user", "password"}}


def _is_refusal(error: Any, dsn: Dsn) -> bool:
    """Whether the server, as far as its answer got, wanted another password.

    The message would say so in the server's language. libpq knows that it was asked for a password; a refusal for
    another reason after that, such as too many connections, costs one look at the source. Of several hosts psycopg
    reports the last one only.
    """
    pgconn = error.pgconn
    if pgconn is None:
        return False
    return pgconn.used_password or pgconn.needs_password or "," in dsn.parameters.get("host", "")
