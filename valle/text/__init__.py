"""Compare texts: named normalisers, numbers as words, and edit errors between reference and transcription."""
