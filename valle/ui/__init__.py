"""`valle ui`: speak, browse data, follow training and read scores in a browser."""
