"""The servers of the tests come from the package's own public plugin."""

pytest_plugins = ["aragora_db.testing.plugin"]
