"""Files of codes of other projects, read without running anything that they contain."""
