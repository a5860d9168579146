"""Run the work of a flow on one machine: devices, local tasks and the ranks of a training."""
