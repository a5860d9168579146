"""Checkpoints on disk: what a training writes and a synthesizer reads."""
