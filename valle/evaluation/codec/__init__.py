"""Evaluate codecs: speech through a codec and back, beside the recordings."""
