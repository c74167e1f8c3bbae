"""Where rows come from: files, snapshots of them, and what their tables are."""
