"""Bytes of tables in memory tiers, and seconds to read and write their rows."""
