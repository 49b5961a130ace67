"""How soon a plan is as good as the one that an old commit returned."""
