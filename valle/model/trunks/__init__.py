"""The trunks between embeddings and heads, one per module, behind the protocol of `base.py`."""
