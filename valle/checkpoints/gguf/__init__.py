"""Checkpoints as GGUF files, the format of llama.cpp."""
