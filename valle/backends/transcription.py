"""Define what an ASR model returns and what every ASR model can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from valle.audio import Samples
from valle.backends.alignment import TimedWord

LOOP_RATIO = 2.4
"""Compression ratio above which a text repeats itself: Whisper's own threshold."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """The text of one clip with the confidences of the model.

    `language` is the language of the decode, `language_probability` its probability (None from an English-only
    model). `average_logprob` is per token, `compression_ratio` is that of zlib on the text.
    """

    text: str
    language: str
    language_probability: float | None
    average_logprob: float
    no_speech_probability: float
    compression_ratio: float


class Transcriber(Protocol):
    """An ASR model."""

    @property
    def is_multilingual(self) -> bool:
        """False for an English-only model."""

    def transcribe(
        self,
        waveforms: Sequence[Samples],
        language: str | None = None,
        *,
        careful: bool = False,
        numbers_in_words: bool = False,
    ) -> list[Transcription]:
        """Transcribe mono 16 kHz waveforms; return one `Transcription` each.

        With `language` None the model detects the language (ISO 639-1) of each clip. `careful` decodes clip by clip
        with five beams: slower, for clips whose first transcription is implausible. `numbers_in_words` writes numbers
        as they are spoken: "one eight six two", not "186-2", which is read otherwise.
        """

    def transcribe_packed(self, waveforms: Sequence[Samples], language: str | None = None) -> list[Transcription]:
        """Transcribe as `transcribe`, with several clips below 10 s in one window of the encoder where that is clear.

        Faster for short clips, and texts differ slightly from those of `transcribe`. Clips whose language has to be
        detected are transcribed alone.
        """

    def align(self, waveforms: Sequence[Samples], texts: Sequence[str], language: str) -> list[list[TimedWord]]:
        """Locate the words of each text in its waveform, mono 16 kHz and at most 30 s.

        The list of a text that the model cannot spell is empty.
        """


def compression_ratio(text: str) -> float:
    """Return the bytes of the text over those of its zlib compression; above 2.4 it repeats itself, 0 without text."""
    import zlib

    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else 0.0
