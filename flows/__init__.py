"""Orchestrate the pipeline: flows, shards and retries. No other package imports Prefect."""
