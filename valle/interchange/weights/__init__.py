"""Import of weights of e-c-k-e-r/vall-e: one file in, a run with one checkpoint out."""
