"""From inputs to a checked plan, or to the reason why there is none."""
