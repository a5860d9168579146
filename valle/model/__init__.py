"""The network: layouts, batches, trunk, heads, losses and cached decoding.

Nothing is imported here: tasks and options use the types of `layout.py` without loading torch.
"""
