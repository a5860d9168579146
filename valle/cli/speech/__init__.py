"""Commands that make or mark speech."""
