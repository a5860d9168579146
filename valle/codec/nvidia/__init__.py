"""NVIDIA's audio codec at 44.1 kHz from NeMo's checkpoint file, without NeMo."""
