"""Tasks of a checkpoint on recordings and texts, as a flow."""
