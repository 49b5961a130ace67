"""A plan, its file, its shards, and what it costs."""
