"""From generated speech to scores: items, measures, intervals, reports."""
