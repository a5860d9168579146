"""Speaking with a checkpoint: samplers, decoding, and the synthesizer that ties them to codec and phonemizer."""
