"""The entry point: runs the commands and maps every exception to an exit code, here and nowhere else."""

from __future__ import annotations

import os
import platform
import sys
import traceback

import typer
from rich.markup import escape
from sqlalchemy.exc import DBAPIError

from aragora_db import __version__
from aragora_db.cli.app import app
from aragora_db.cli.output import stderr
from aragora_db.errors import AragoraDBError

__all__ = ["main"]

BUG, WRONG_USE, INTERRUPTED = 5, 2, 130


def main(arguments: list[str] | None = None) -> None:
    """Run ``aragora-db``.

    Exit codes: 0 done; 1 the answer is no; 2 wrong use or configuration; 3 the database could not be reached; 4 a
    lock or a timeout was in the way, try again; 5 a bug of ours.
    """
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="aragora-db", standalone_mode=False)
    except AragoraDBError as error:
        stderr.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return error.exit_code
    except SystemExit:
        # Nothing else ends this way: the reader of a pipe, such as head(1), had enough. That is no answer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- the last one to catch it
        # Typer's own errors show themselves; their base class moved with Typer 0.29 and is exported by neither.
        show = getattr(error, "show", None)
        if show is None:
            return _report(error)
        show()
        return WRONG_USE
    if code == INTERRUPTED:  # which is also what Typer makes of Ctrl-C
        stderr.print("interrupted; nothing is half done, run the same command to go on")
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    """Print what a bug report needs. SQLAlchemy's texts carry statements, so only the driver's part is shown."""
    cause: object = getattr(error, "orig", None) if isinstance(error, DBAPIError) else error
    stderr.print("[bold red]this is a bug of aragora_db[/]; please report it with the lines below", highlight=False)
    stderr.print(
        f"aragora_db {__version__}, Python {platform.python_version()}, {platform.platform()}", highlight=False
    )
    frames = "".join(traceback.format_tb(error.__traceback__)[-6:])
    stderr.print(escape(f"{frames}{type(error).__name__}: {cause}"), highlight=False, soft_wrap=True)
    return BUG
