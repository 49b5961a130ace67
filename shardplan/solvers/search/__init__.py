"""Anytime search: parallel annealing of divisions and re-cuts from heuristic starts.

Prices come from `shardplan.certify`; `state` keeps loads and shards, `penalty` says
what is too much, `moves` change a state, `anneal` drives them, `portfolio` makes starts
and restarts.
"""
