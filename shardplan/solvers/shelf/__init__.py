"""Plans of few tables on many ranks, by an integer program that knows no ranks.

`zones` says which ranks are interchangeable, `takes` how options can be shared out over
them, `program` chooses, `numbering` counts the pieces through, and `shelves` is the
solver.
"""
