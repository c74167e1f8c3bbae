"""Moving Aragora's SQLite files into one database, and a database back into a file; nothing is lost on the way."""

from aragora_db.transfer.options import Options, Progress
from aragora_db.transfer.report import Report, TableReport
from aragora_db.transfer.run import import_folder

__all__ = ["Options", "Progress", "Report", "TableReport", "import_folder"]
