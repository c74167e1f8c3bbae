"""Real PostgreSQL, Redis and PgBouncer servers for tests, as a pytest plugin.

Opt in with ``pytest_plugins = ["aragora_db.testing.plugin"]`` in the top ``conftest.py``. The servers are private: they
live in a temporary folder, are started when the first test asks for them, and are gone when pytest is gone, however it
ended. ``ARAGORA_TEST_POSTGRES_URL`` and ``ARAGORA_TEST_REDIS_URL`` name servers to use instead.
"""
