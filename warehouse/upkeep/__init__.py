"""Keep a lake healthy: claims, journals, checks, compaction and retries."""
