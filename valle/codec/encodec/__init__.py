"""EnCodec at 24 and 48 kHz: Defossez et al. 2022 (arXiv 2210.13438), around the networks of the package `encodec`."""
