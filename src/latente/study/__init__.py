"""Studies: a search over parameters, its table and its curves."""
