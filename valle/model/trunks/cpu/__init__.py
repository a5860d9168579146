"""Products of a few rows and of 8 bits on a CPU, and the step of a trunk that consists of them."""
