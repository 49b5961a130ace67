"""Solvers behind one protocol, chosen by name; see `shardplan.solvers.base`."""
