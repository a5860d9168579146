"""From generated speech to scores: items, normalised texts, edit errors, intervals, reports."""
