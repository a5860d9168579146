"""Verification of imported weights against numbers that the original program computed."""
