"""Anytime search: parallel annealing of divisions and re-cuts from heuristic starts.

`guide` bounds and prices, `state` keeps loads and shards, `penalty` says what is too
much, `repartition` divides the units of many pairs of ranks at once, `recut`
takes a bundle out and puts it back in another way, `anneal` drives them, `portfolio`
makes starts and restarts.
"""
