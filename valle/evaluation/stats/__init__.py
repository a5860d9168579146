"""Aggregate scores: clustered bootstrap intervals and paired comparisons."""
