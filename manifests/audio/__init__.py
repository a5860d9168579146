"""Decode audio files: lengths, channels and formats whose headers only estimate."""
