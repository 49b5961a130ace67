"""How many points of a study a machine works out, beside what people did before."""
