"""Read files of a corpus: listings, archives, sidecars and the headers of audio files."""
