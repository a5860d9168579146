"""Run a flow: shards, progress, reports, cancellation and the processes below a flow run."""
