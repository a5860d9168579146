"""Synthesize a corpus: open TTS systems, the texts they read and perturbed copies."""
