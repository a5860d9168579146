"""Choose what is evaluated: items, published lists and contamination checks."""
