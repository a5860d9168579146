"""Run-time support of the flows: the shard runner, progress, artifacts, events, subprocesses, shutdown."""
