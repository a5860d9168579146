"""Numbers of codecs without their weights: of codes that were computed elsewhere, or are only read."""

from valle.codec import NAMES, open_codec
from valle.codec.base import CodecSpec
from warehouse.errors import ConfigurationError

ENCODEC = "encodec_24khz"
# Codecs whose codes are read and trained on, but that no decoder of this project is for.
_FOREIGN = {
    "dac_44khz": CodecSpec("dac_44khz", "given", 44_100, 512, 9, 1024),
    "nemo_44khz": CodecSpec("nemo_44khz", "given", 44_100, 512, 8, 1000),
}


def codec_spec(name: str | None = None) -> CodecSpec:
    """Return the numbers of a codec by name, by default EnCodec, which needs no weights for it.

    Raises ConfigurationError for an unknown name and DependencyError for a codec whose weights are missing.
    """
    chosen = name or ENCODEC
    if chosen in _FOREIGN and chosen not in NAMES:
        return _FOREIGN[chosen]
    if chosen not in NAMES:
        names = ", ".join((*NAMES, *_FOREIGN))
        raise ConfigurationError(f"There is no codec named {chosen!r}; choose one of {names}.")
    if not chosen.startswith(ENCODEC):
        return open_codec(chosen).spec
    from valle.codec.encodec import CODEBOOK_SIZE, HOP_LENGTH, NUM_CODEBOOKS, SAMPLE_RATE, encodec_revision

    return CodecSpec(chosen, encodec_revision(), SAMPLE_RATE, HOP_LENGTH, NUM_CODEBOOKS, CODEBOOK_SIZE)
