"""Flows that train models: one run, or several that are compared."""
