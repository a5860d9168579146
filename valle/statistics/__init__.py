"""What the data looks like: tables of named queries as Markdown and pictures."""
