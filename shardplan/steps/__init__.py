"""The training step as a program of operations, and the longest path through it."""
