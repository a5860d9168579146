"""Report on the data: tables of named queries as Markdown and plots."""
