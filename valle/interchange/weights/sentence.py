"""A recorded sentence for the choice of the era: a container of codes with its phonemes, or audio with its text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manifests.codes.containers import UnreadableCodes, container_suffix, read_container
from valle.audio import AudioLocation, UnreadableAudio, read_audio
from valle.backends.registry import Backends
from valle.interchange.weights.description import LANGUAGES
from valle.interchange.weights.era import RecordedSentence
from valle.phonemes import PLAIN
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.codec.base import CodecSpec, Codes
    from valle.phonemes.pieces import PieceTable


def read_sentence(path: Path, text: str, language: str, *, table: PieceTable, codec: CodecSpec) -> RecordedSentence:
    """Read a sentence. Raises ConfigurationError for a file that cannot be read, and for audio without its text."""
    if container_suffix(path):
        return _from_container(path, table, codec)
    if not text:
        raise ConfigurationError(f"Give the text of {path} by --text.")
    backends = Backends()
    try:
        audio = read_audio(AudioLocation(str(path)), codec.sample_rate)
    except UnreadableAudio as error:
        raise ConfigurationError(f"The sentence cannot be read ({error}); give a recording of speech.") from error
    codes = backends.codec(codec.name).encode([audio.samples])[0]
    symbols = backends.phonemizer(PLAIN).phonemize([text], language)[0]
    return RecordedSentence(np.array(table.encode(symbols)), language_id(language), codes)


def _from_container(path: Path, table: PieceTable, codec: CodecSpec) -> RecordedSentence:
    try:
        container = read_container(path)
    except UnreadableCodes as error:
        raise ConfigurationError(str(error)) from error
    phonemes = container.metadata.get("phonemes")
    if not isinstance(phonemes, str) or not phonemes:
        raise ConfigurationError(f"{path} has no phonemes; give another container, or audio with --text.")
    codes: Codes = container.codes
    if len(codes) < codec.num_codebooks or codes.max() >= codec.codebook_size:
        raise ConfigurationError(f"{path} has other codes than those of {codec.name}.")
    language = str(container.metadata.get("language", "en"))
    return RecordedSentence(np.array(table.encode([phonemes])), language_id(language), codes[: codec.num_codebooks])


def language_id(language: str) -> int:
    """Return the id of a language; that of English for an unknown one."""
    return LANGUAGES.index(language) if language in LANGUAGES else 0
