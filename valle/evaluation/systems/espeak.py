"""Synthesize the espeak-ng control: intelligible speech by a speaker who is unrelated to any prompt.

The library of the `espeakng-loader` wheel is called directly (its public header, `speak_lib.h`): `espeak_Synth` passes
its samples to a callback. phonemizer loads copies of the library, so the two never share C globals.
"""

import ctypes
import threading
from typing import Any

import numpy as np

from valle.audio import Audio
from warehouse.errors import ConfigurationError, DependencyError
from warehouse.packages import version

# Constants of espeak-ng's speak_lib.h, which its shared library does not export.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_CHARACTERS_UTF8 = 1
_POSITION_CHARACTER = 1
_COMMAND = "pip install espeakng-loader"
_VOICES = {"en": b"en-us", "de": b"de", "fr": b"fr-fr", "ja": b"ja", "ko": b"ko", "zh": b"cmn"}

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakVoice:
    """The voices of espeak-ng, one utterance at a time, because the library keeps its state in globals."""

    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
            data = str(espeakng_loader.get_data_path()).encode()
        except (ImportError, OSError, RuntimeError) as error:
            raise DependencyError(f"espeak-ng is not installed ({error}): run `{_COMMAND}`.") from error
        self._rate: int = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, 0)
        if self._rate <= 0:
            raise DependencyError(f"espeak-ng does not start: run `{_COMMAND}`.")
        self._library.espeak_Synth.argtypes = [
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._blocks: list[Any] = []
        self._callback = _Callback(self._receive)  # referenced, because the library stores a bare pointer
        self._library.espeak_SetSynthCallback(self._callback)
        self._lock = threading.Lock()

    def _receive(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    def speak(self, text: str, language: str = "en") -> Audio:
        """Synthesize a text. Raise ConfigurationError for a language without a voice."""
        if language not in _VOICES:
            raise ConfigurationError(f"espeak-ng has no voice for {language!r}: use one of {', '.join(_VOICES)}.")
        content = text.encode()
        with self._lock:
            self._blocks.clear()
            if self._library.espeak_SetVoiceByName(_VOICES[language]) != 0:
                raise DependencyError(f"espeak-ng has no data for {language!r}: run `{_COMMAND}`.")
            status = self._library.espeak_Synth(
                content, len(content) + 1, 0, _POSITION_CHARACTER, 0, _CHARACTERS_UTF8, None, None
            )
            self._library.espeak_Synchronize()
            blocks = [np.zeros(0, dtype=np.int16), *self._blocks]
        if status != 0:
            raise ConfigurationError(f"espeak-ng cannot synthesize {text[:40]!r} (error {status}); leave it out.")
        return Audio((np.concatenate(blocks).astype(np.float32) / 32768.0), self._rate)


def espeak_languages() -> frozenset[str]:
    """Return the languages of `EspeakVoice` as ISO 639-1 codes."""
    return frozenset(_VOICES)


def espeak_voice_revision() -> str:
    """Return name and version of the library."""
    return f"espeak@{version('espeakng-loader')}"
