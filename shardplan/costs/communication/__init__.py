"""Collectives: which links their bytes pass, and for how long."""
