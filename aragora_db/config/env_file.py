"""A file of ``NAME=value`` lines, as systemd's ``EnvironmentFile`` and Docker's ``--env-file`` read it."""

from __future__ import annotations

import io
from pathlib import Path

from aragora_db.errors import ConfigurationError

__all__ = ["read_env_file"]


def read_env_file(path: Path | str) -> dict[str, str | None]:
    """The variables that a file sets, values taken as they are; an empty value counts as unset.

    ``${NAME}`` is not replaced: it may stand in a password, and systemd, which reads the same file, would not.

    Raises:
        ConfigurationError: it cannot be read, or a line is none of that form. Left out, that line could be the
            DATABASE_URL without which a server runs on SQLite.
    """
    from dotenv.parser import parse_stream  # noqa: PLC0415 -- most programs have no such file

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
