"""Named questions to the catalogue, one per file."""
