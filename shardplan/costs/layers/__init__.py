"""Seconds of dense layers."""
