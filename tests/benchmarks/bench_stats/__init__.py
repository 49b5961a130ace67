"""Statistics of a log beside exact counts: rate, memory and accuracy."""
