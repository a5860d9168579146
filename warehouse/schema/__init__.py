"""Views of the catalogue, created in the order of their file names."""
