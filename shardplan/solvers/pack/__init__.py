"""Pack few large tables: options and patterns of ranks chosen together.

`pieces` says what is to be packed and what room ranks have, `patterns` finds sets of
pieces that one rank can hold, `program` chooses options and patterns so that all
pieces have a place.
"""
