"""Moves: the ways in which the search changes a state."""
