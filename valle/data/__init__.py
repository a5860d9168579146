"""Training data: training sets, their codes, sampled rows and batches. Only this package imports Lhotse."""
