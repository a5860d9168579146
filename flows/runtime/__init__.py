"""What every flow uses at run time: the shard runner, progress, artifacts, events, subprocesses, shutdown."""
