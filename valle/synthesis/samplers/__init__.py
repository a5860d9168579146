"""Samplers: one idea per module, each a pure function of logits. None writes into what it is given."""
