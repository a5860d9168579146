"""Tables and heads of codes from the vectors or the codes of a codec."""
