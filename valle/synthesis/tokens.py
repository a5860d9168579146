"""Phonemes of speech, phonemes of a text and the text of phonemes, all by the checkpoint itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from valle.audio import Audio, resample
from valle.synthesis.decoding.tokens import decode_tokens
from valle.synthesis.learnt import require_task
from valle.synthesis.texts.recorded_text import TextOptions, read_text
from valle.synthesis.transforms import split_at_quiet_points
from valle.tasks.spelling import PHONEMES, SPELLING, bytes_text, text_bytes
from valle.tasks.transcription import TRANSCRIPTION
from valle.text.language import AUTO
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.synthesizer import Synthesizer

# Longest output, as a factor of the input: three bytes for a symbol.
_LONGEST_RATIO = 3


def transcribe_speech(synthesizer: Synthesizer, recording: Audio, language: str = "en") -> tuple[str, ...]:
    """Transcribe a recording of any length to phonemes; in `auto` an ASR model detects its language.

    Raises CheckpointError for a checkpoint that cannot.
    """
    require_task(synthesizer.card, TRANSCRIPTION.name, purpose="transcribe speech", option="transcription_ratio")
    rate = synthesizer.codec.spec.sample_rate
    pieces = split_at_quiet_points(Audio(resample(recording.samples, recording.sample_rate, rate), rate))
    if language == AUTO:
        language = read_text(synthesizer.backends, pieces, rate, TextOptions(language=AUTO, transcribe=False)).language
    found = synthesizer.transcribe(synthesizer.codec.encode(pieces), language)
    return tuple(symbol for piece in found for symbol in piece)


def phonemize_text(synthesizer: Synthesizer, text: str, language: str = "en") -> tuple[str, ...]:
    """Return the phonemes that the checkpoint reads a text as.

    Raises CheckpointError for a checkpoint that has not learnt it, and ConfigurationError for an empty text.
    """
    require_task(synthesizer.card, PHONEMES.name, purpose="phonemize texts", option="phonemes_ratio")
    source = text_bytes(" ".join(text.split()))
    if not len(source):
        raise ConfigurationError("There is nothing to phonemize: the text is empty.")
    row = PHONEMES.row(source, synthesizer.card.model.language_id(language))
    (ids,) = decode_tokens(synthesizer.model, PHONEMES.layout, [row], longest=_LONGEST_RATIO * len(source))
    return tuple(synthesizer.card.phoneme_table.decode(ids))


def spell_phonemes(synthesizer: Synthesizer, symbols: Sequence[str], language: str = "en") -> str:
    """Return the text that the checkpoint writes for phonemes. Errors as `phonemize_text`."""
    require_task(synthesizer.card, SPELLING.name, purpose="write phonemes as text", option="spelling_ratio")
    if not symbols:
        raise ConfigurationError("There is nothing to write: there are no phonemes.")
    table = synthesizer.card.phoneme_table
    row = SPELLING.row(np.array(table.encode(symbols)), synthesizer.card.model.language_id(language))
    (ids,) = decode_tokens(synthesizer.model, SPELLING.layout, [row], longest=_LONGEST_RATIO * len(symbols))
    return bytes_text(ids)
