"""Numbers of codecs without their weights: of codes that were computed elsewhere, or are only read."""

from valle.codec import codec_names, codec_revision, open_codec
from valle.codec.base import CodecSpec
from warehouse.errors import ConfigurationError

ENCODEC = "encodec_24khz"
_NUM_CODEBOOKS = 8
"""At 6 kbit/s."""
_FOREIGN = {
    "dac_44khz": CodecSpec("dac_44khz", "given", 44_100, 512, 9, 1024),
    "nemo_44khz": CodecSpec("nemo_44khz", "given", 44_100, 512, 8, 1000),
}
"""Codecs whose codes are read and trained on, but that no decoder of this project is for."""


def codec_spec(name: str | None = None) -> CodecSpec:
    """Return the numbers of a codec by name, by default EnCodec, which needs no weights for it.

    Raises ConfigurationError for an unknown name and DependencyError for a codec whose weights are missing.
    """
    chosen = name or ENCODEC
    if chosen in _FOREIGN and chosen not in codec_names():
        return _FOREIGN[chosen]
    if chosen not in codec_names():
        names = ", ".join((*codec_names(), *_FOREIGN))
        raise ConfigurationError(f"There is no codec named {chosen!r}; choose one of {names}.")
    if chosen not in (ENCODEC, f"{ENCODEC}+vocos"):
        return open_codec(chosen).spec
    from valle.codec.encodec import CODEBOOK_SIZE, HOP_LENGTH, SAMPLE_RATE

    revision = codec_revision(chosen).partition("@")[2]
    return CodecSpec(chosen, revision, SAMPLE_RATE, HOP_LENGTH, _NUM_CODEBOOKS, CODEBOOK_SIZE)
