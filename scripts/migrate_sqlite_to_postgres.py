"""The guide's entry point: ``aragora-db import`` under the name and with the flags that the guide documents."""

import sys

from aragora_db.cli import main

if __name__ == "__main__":
    main(["import", *sys.argv[1:]])
