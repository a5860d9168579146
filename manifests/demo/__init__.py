"""Lay out the demo corpus as real corpora are published."""
