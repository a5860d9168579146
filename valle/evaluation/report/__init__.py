"""Render evaluations as Markdown, HTML and plots."""
