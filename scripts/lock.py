"""Resolve ``requirements.lock``: every extra and the dev group, for every supported Python, naming no index host."""

import subprocess
import sys

COMMAND = [
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"),
    *("--all-extras", "--group", "dev", "--universal", "--python-version", "3.11", "--quiet"),
    *("--no-emit-index-url", "--no-emit-find-links", "--generate-hashes"),
    *("--custom-compile-command", "make lock", "--output-file", "requirements.lock"),
]

if __name__ == "__main__":
    sys.exit(subprocess.call(COMMAND))  # noqa: S603 -- a fixed command
