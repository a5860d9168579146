"""Numbers of codecs without opening them: of codes that were computed elsewhere, whose decoder may not be here."""

from collections.abc import Mapping
from dataclasses import replace

from valle.codec import codec_names, codec_revision, open_codec
from valle.codec.base import CodecSpec
from warehouse.errors import ConfigurationError, DependencyError

ENCODEC = "encodec_24khz"
_UNKNOWN_REVISION = "given"
"""Revision of codes whose codec is not here."""


def _numbers() -> Mapping[str, CodecSpec]:
    """Return the codecs whose containers are read, with an unknown revision."""
    unknown = _UNKNOWN_REVISION
    specs = (
        CodecSpec(ENCODEC, unknown, 24_000, 320, 8, 1024),
        CodecSpec(f"{ENCODEC}+vocos", unknown, 24_000, 320, 8, 1024),
        CodecSpec("dac_44khz", unknown, 44_100, 512, 9, 1024),
        CodecSpec("nvidia_44khz", unknown, 44_100, 512, 8, 1000, "parallel"),
    )
    return {spec.name: spec for spec in specs}


def codec_spec(name: str | None = None) -> CodecSpec:
    """Return the numbers of a codec by name, by default EnCodec; those above need no weights for it.

    Raises ConfigurationError for an unknown name and DependencyError for a codec whose weights are missing.
    """
    chosen = name or ENCODEC
    if chosen not in codec_names():
        raise ConfigurationError(f"unknown codec {chosen!r}: use one of {', '.join(codec_names())}.")
    known = _numbers().get(chosen)
    if known is None:
        return open_codec(chosen).spec
    try:
        return replace(known, revision=codec_revision(chosen).partition("@")[2])
    except DependencyError:
        return known
