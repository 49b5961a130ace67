"""Plans beside an exact replay of the log that their workload was measured in."""
