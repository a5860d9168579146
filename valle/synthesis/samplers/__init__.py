"""Samplers: pure functions of logits, which never write into their arguments."""
