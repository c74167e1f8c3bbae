"""Import Aragora's SQLite files into one database, and export a database into one file, with proof."""

from aragora_db.transfer.csv_sql import csv_script
from aragora_db.transfer.export import Export, export_file
from aragora_db.transfer.options import Options, Progress
from aragora_db.transfer.report import ImportReport, TableReport
from aragora_db.transfer.run import import_folder

__all__ = ["Export", "ImportReport", "Options", "Progress", "TableReport", "csv_script", "export_file", "import_folder"]
