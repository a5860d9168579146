"""The steps of the road: each maps input rows to exactly one outcome, a payload or a reason."""
