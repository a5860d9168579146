"""Measure codecs: resynthesis of recordings with every number of codebooks."""
