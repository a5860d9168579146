"""Rules of the stages: where speech is cut, and which transcriptions are plausible."""
