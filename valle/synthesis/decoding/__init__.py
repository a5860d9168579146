"""Decoding: codes from conditions."""
