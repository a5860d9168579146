"""Exchange with other projects: their weights, data and configuration in, ours out in their formats."""
