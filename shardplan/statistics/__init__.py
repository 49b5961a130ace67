"""Statistics of tables, measured from logs of lookups."""
