"""Checkpoints and training sets on the Hugging Face hub."""
