"""Decode codes: autoregressive, masked and non-autoregressive modes and durations."""
