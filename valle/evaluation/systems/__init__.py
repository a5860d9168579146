"""Produce the speech that is evaluated: checkpoints, controls, commands and folders."""
