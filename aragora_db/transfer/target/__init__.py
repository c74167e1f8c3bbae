"""Where rows go: staging, merging, loading, parking, and the record of it."""
