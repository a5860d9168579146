"""The Prefect server of one machine: local server, supervisor, workers, work pools, deployments and their checks."""
