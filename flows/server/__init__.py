"""Running Prefect itself on one machine: server, workers, work pools, deployments, automations, and their checks."""
