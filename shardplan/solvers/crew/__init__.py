"""Several processes for one solve: one proves, others search, beside this one."""
