"""Tasks that are given a recording and return another of the same length."""
