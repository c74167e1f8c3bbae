"""Read-only sessions on PostgreSQL standbys: which one, how far behind, and read-your-own-writes."""
