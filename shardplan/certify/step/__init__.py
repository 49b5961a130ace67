"""Lower bounds on the predicted step: paths, and cases of what collectives run."""
