"""Where the program prints: data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
from typing import Any

from rich.console import Console

__all__ = ["print_json", "show_progress", "stderr", "stdout"]

stdout = Console()
stderr = Console(stderr=True)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout, and nothing else there."""
    print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201 -- Rich would wrap and colour it


def show_progress() -> None:
    """Show what the package logs, such as each revision as it is applied, on stderr."""
    logger = logging.getLogger("aragora_db")
    logger.handlers[:] = [logging.StreamHandler()]
    logger.setLevel(logging.INFO)
    # SQLAlchemy's pools log under the name of our subclass; that one is disposed of is no progress.
    logging.getLogger("aragora_db.engine").setLevel(logging.WARNING)
