"""Moves: the ways in which the search changes a state; see `move.Move`.

`exchange` gives parts of many ranks' loads other ranks, `repartition` divides pairs of
ranks anew, `recut` gives bundles other options and places, `variants` other kernels
and cache fractions in place. `candidates` says what is worth a look, `insertion` puts
what is out where it hurts least.
"""
