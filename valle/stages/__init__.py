"""The stages of the pipeline: each maps input rows to exactly one outcome, a payload or a reason."""
