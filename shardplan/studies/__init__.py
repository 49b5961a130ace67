"""Questions that take more than one plan or system to answer."""
