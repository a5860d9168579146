"""Measure speech: word errors, speaker similarity, quality and synthesis defects."""
