"""Open the models of the stages, each on first use and once per process.

A test passes an object with the same methods; no other module of the stages names the library of a model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from valle.backends.quality import QualityScorer
    from valle.backends.speaker.base import SpeakerEncoder
    from valle.backends.transcription import Transcriber
    from valle.backends.vad import VoiceActivityDetector
    from valle.codec.base import Codec
    from valle.phonemes import Phonemizer

T = TypeVar("T")


@dataclass(frozen=True)
class Backends:
    """Cache of models by name. `device` is a torch device; `threads` bounds the CPU threads of each model."""

    device: str = "cpu"
    threads: int = 1
    _opened: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def _once(self, kind: str, name: str, open_it: Callable[[], T]) -> T:
        with self._lock:
            if (kind, name) not in self._opened:
                self._opened[kind, name] = open_it()
            return cast(T, self._opened[kind, name])

    def codec(self, name: str) -> Codec:
        """Return a codec by name: `mini`, `encodec_24khz`, `encodec_24khz+vocos`."""
        from valle.codec import open_codec

        return self._once("codec", name, lambda: open_codec(name, device=self.device))

    def transcriber(self, name: str) -> Transcriber:
        """Return an ASR model by name: `tiny.en` (embedded), any faster-whisper name, or a directory."""
        from valle.backends.asr import open_transcriber

        return self._once("asr", name, lambda: open_transcriber(name, device=self.device, threads=self.threads))

    def phonemizer(self, name: str) -> Phonemizer:
        """Return a phonemizer by name: `espeak`."""
        from valle.phonemes import open_phonemizer

        return self._once("phonemizer", name, lambda: open_phonemizer(name))

    def voice_activity(self, name: str) -> VoiceActivityDetector:
        """Return a voice activity detector by name: `silero`."""
        from valle.backends.vad import open_voice_activity

        return self._once("vad", name, lambda: open_voice_activity(name, threads=self.threads))

    def speaker_encoder(self, name: str) -> SpeakerEncoder:
        """Return a speaker encoder by name: `resemblyzer`."""
        from valle.backends.speaker import open_speaker_encoder

        return self._once("speaker", name, lambda: open_speaker_encoder(name, device=self.device))

    def quality_scorer(self, name: str) -> QualityScorer:
        """Return a quality scorer by name: `dnsmos`, `distillmos`."""
        from valle.backends.quality import open_quality_scorer

        return self._once("quality", name, lambda: open_quality_scorer(name, threads=self.threads))
