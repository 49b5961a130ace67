"""Seconds of collectives over links."""
