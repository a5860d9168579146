"""Scores of the tasks beside text-to-speech, each beside controls."""
