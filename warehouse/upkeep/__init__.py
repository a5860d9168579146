"""Maintain a lake: claims, journals, checks, compaction, vacuum and retries."""
