"""Run flows: the shard runner, progress, artifacts, events, subprocesses, shutdown."""
