"""Synthesis with a checkpoint: samplers, decoding, and the synthesizer that joins them to codec and phonemizer."""
