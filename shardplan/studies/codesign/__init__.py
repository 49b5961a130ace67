"""Hardware and plan searched together: the optimiser chooses the points of a study."""
