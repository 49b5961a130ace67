"""Formats of logs: how each is divided, and how its columns are read."""
