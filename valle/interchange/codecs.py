"""The codec of imported weights or codes, by their shape: its numbers, without loading its weights."""

from valle.codec import NAMES, open_codec
from valle.codec.base import CodecSpec
from warehouse.errors import ConfigurationError

ENCODEC = "encodec_24khz"


def codec_spec(name: str | None) -> CodecSpec:
    """Return the numbers of a codec by name; EnCodec, which the published weights use, needs no weights for it.

    Raises ConfigurationError for an unknown name and DependencyError for a codec whose weights are missing.
    """
    chosen = name or ENCODEC
    if chosen not in NAMES:
        raise ConfigurationError(f"There is no codec named {chosen!r}; choose one of {', '.join(NAMES)}.")
    if not chosen.startswith(ENCODEC):
        return open_codec(chosen).spec
    from valle.codec.encodec import CODEBOOK_SIZE, HOP_LENGTH, NUM_CODEBOOKS, SAMPLE_RATE, encodec_revision

    return CodecSpec(chosen, encodec_revision(), SAMPLE_RATE, HOP_LENGTH, NUM_CODEBOOKS, CODEBOOK_SIZE)
