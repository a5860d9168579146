"""Transcribe 16 kHz waveforms and return the confidences of the ASR model; callers apply the thresholds.

The model is Whisper (Radford et al. 2022) in faster-whisper (CTranslate2). Whisper encodes windows of 30 s, so a short
clip costs as much as a long one. Clips that fit one window are encoded and decoded as a batch, and the language is
detected from the same encoder output. A clip that is longer, or whose decode ends long before the clip, is transcribed
alone by faster-whisper's sequential algorithm.

Whisper sometimes repeats itself without end. The sign is a compression ratio above 2.4 (section 4.5 of the paper). Such
a clip is decoded again with beams and, if the text still repeats, with a token limit derived from its duration. The
authors sample at a higher temperature instead. Here decoding is deterministic, and no repetition penalty removes
repetitions that are in the speech.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples
from valle.backends import weights
from valle.backends.alignment import TimedPiece, TimedWord, group_pieces, trim_silence
from valle.backends.asr_models import model_directory
from valle.backends.packing import FRAMES, GAPS, PackedClip, fill_window, isolate, place_clips
from valle.backends.transcription import LOOP_RATIO, Transcriber, Transcription, compression_ratio

T = TypeVar("T")

SAMPLE_RATE = 16_000
# Whisper encodes windows of this length; shorter audio is padded to it, longer audio is cut.
_WINDOW_SECONDS = 30.0
LONGEST_ALIGNED_SECONDS = _WINDOW_SECONDS
_LEAD_SECONDS = 0.1  # Whisper loses the first word of very short clips that start at once
_LEAD_BELOW_SECONDS = 3.0
_TAIL_SECONDS = 3.0
_NON_SPEECH_TOKENS = -1
_MAX_INITIAL_TIMESTAMP = 50  # one second, in steps of 20 ms
_LENGTH_LIMIT = 448
_CONCURRENT_CALLS_ON_CPU = 8  # the calls share the weights, and an idle one costs nothing
_CLEAR_LOGPROB = -0.7  # of a packed clip: a lower one is packed again
_CLEAR_LANGUAGE = 0.5
_BEAMS = 5
_MAX_TOKENS_PER_SECOND = 12  # the fastest speakers reach about eight, in digit strings
_HOP_SECONDS = 0.01  # of the features
_SPARE_TOKENS = 8  # for timestamps and the end
# How much later than the sound attention finds words, in seconds: the mean over joined clips, whose border is known.
_LATENESS: Mapping[str, float] = MappingProxyType({"tiny.en": 0.085, "base": -0.08})
_NUMERAL = re.compile(r"[\d%$€£]")
_BATCH = 8
_BATCH_ON_CPU = 2  # a batch of eight is a sixth slower on a CPU: it exceeds the caches


@dataclass(frozen=True, slots=True)
class _Form:
    """Language of a transcription, None to detect it, and the tokens that it must not have."""

    language: str | None
    suppressed: tuple[int, ...] = ()


def _batches(order: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]


class FasterWhisper:
    """A CTranslate2 Whisper model from a directory."""

    def __init__(self, directory: Path, *, device: str = "cpu", threads: int = 1, lateness: float = 0.0) -> None:
        from faster_whisper import WhisperModel

        on_gpu = device.startswith("cuda")
        self._model: Any = WhisperModel(
            str(directory),
            device="cuda" if on_gpu else "cpu",
            compute_type="float16" if on_gpu else "int8",
            cpu_threads=threads,
            num_workers=1 if on_gpu else _CONCURRENT_CALLS_ON_CPU,
            local_files_only=True,
        )
        self._lateness = lateness
        self._batch_size = _BATCH if on_gpu else _BATCH_ON_CPU

    @property
    def is_multilingual(self) -> bool:
        """False for an English-only model."""
        return bool(self._model.model.is_multilingual)

    def transcribe(
        self,
        waveforms: Sequence[Samples],
        language: str | None = None,
        *,
        careful: bool = False,
        numbers_in_words: bool = False,
    ) -> list[Transcription]:
        """Transcribe a batch, as `Transcriber` defines it."""
        form = _Form("en" if not self.is_multilingual else language, self._numerals if numbers_in_words else ())
        if careful:
            with_beams = (self._transcribe_one(samples, form, beam_size=_BEAMS) for samples in waveforms)
            return [
                self._retry_with_token_limit(transcription, samples, form)
                for transcription, samples in zip(with_beams, waveforms, strict=True)
            ]
        known: dict[int, Transcription] = {}
        short = [i for i, samples in enumerate(waveforms) if len(samples) <= _WINDOW_SECONDS * SAMPLE_RATE]
        for batch in _batches(short, self._batch_size):
            results = self._transcribe_batch([waveforms[i] for i in batch], form)
            known.update((i, result) for i, result in zip(batch, results, strict=True) if result is not None)
        return [self._retry_if_repetitive(known.get(i), samples, form) for i, samples in enumerate(waveforms)]

    def transcribe_packed(self, waveforms: Sequence[Samples], language: str | None = None) -> list[Transcription]:
        """Transcribe a batch, as `Transcriber` defines it."""
        if not self.is_multilingual:
            language = "en"
        found = self._transcribe_windows(waveforms, language) if language else {}
        others = [i for i in range(len(waveforms)) if i not in found]
        found.update(zip(others, self.transcribe([waveforms[i] for i in others], language), strict=True))
        return [found[i] for i in range(len(waveforms))]

    def align(self, waveforms: Sequence[Samples], texts: Sequence[str], language: str) -> list[list[TimedWord]]:
        """Align a batch, as `Transcriber` defines it."""
        tokenizer = self._tokenizer(language)
        aligned: list[list[TimedWord]] = []
        for batch in _batches(list(range(len(texts))), self._batch_size):
            encoded = self._model.encode(np.stack([self._features(waveforms[i]) for i in batch]))
            for row, i in enumerate(batch):
                pieces = self._pieces(encoded, row, waveforms[i], texts[i], tokenizer)
                words = group_pieces(texts[i], pieces)
                aligned.append(trim_silence(words, waveforms[i], SAMPLE_RATE))
        return aligned

    def _pieces(self, encoded: Any, row: int, samples: Samples, text: str, tokenizer: Any) -> list[TimedPiece]:
        """Align the tokens of one text with row `row` of the encoder's output."""
        import ctranslate2

        lead, duration = _lead_seconds(samples), len(samples) / SAMPLE_RATE
        tokens = tokenizer.encode(" " + " ".join(text.split()))
        if not tokens or len(tokens) >= _LENGTH_LIMIT - _SPARE_TOKENS:
            return []
        # Alone: in a batch the alignment of a clip would depend on the longest one.
        own = ctranslate2.StorageView.from_array(np.ascontiguousarray(_as_array(encoded)[row : row + 1]))
        frames = round((duration + lead) / _HOP_SECONDS)
        (found,) = self._model.find_alignment(tokenizer, [tokens], own, frames)
        late = lead + self._lateness
        return [
            TimedPiece(
                word["word"],
                min(max(0.0, float(word["start"]) - late), duration),
                min(max(0.0, float(word["end"]) - late), duration),
                float(word["probability"]),
                len(word["tokens"]),
            )
            for word in found
        ]

    def _retry_if_repetitive(self, greedy: Transcription | None, samples: Samples, form: _Form) -> Transcription:
        """Return the greedy transcription; decode again with beams where its text repeats itself."""
        first = greedy or self._transcribe_one(samples, form, beam_size=1)
        if first.compression_ratio <= LOOP_RATIO:
            return first
        with_beams = self._transcribe_one(samples, form, beam_size=_BEAMS)
        return self._retry_with_token_limit(_less_repetitive(first, with_beams), samples, form)

    def _retry_with_token_limit(self, transcription: Transcription, samples: Samples, form: _Form) -> Transcription:
        """Decode a repetitive transcription again with a token limit derived from the clip's duration."""
        if transcription.compression_ratio <= LOOP_RATIO:
            return transcription
        bounded = self._transcribe_one(samples, form, beam_size=_BEAMS, max_tokens=_max_tokens(samples))
        return _less_repetitive(transcription, bounded)

    def _features(self, samples: Samples) -> NDArray[np.float32]:
        from faster_whisper.audio import pad_or_trim

        samples = np.pad(samples, (round(_lead_seconds(samples) * SAMPLE_RATE), 0))
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

    @cached_property
    def _numerals(self) -> tuple[int, ...]:
        """Tokens with a digit or a sign that is read as a word; without them the model writes numbers as spoken."""
        end = self._tokenizer("en").eot
        known: Mapping[str, int] = self._model.hf_tokenizer.get_vocab()
        return tuple(token for text, token in known.items() if token < end and _NUMERAL.search(text))

    def _transcribe_batch(self, waveforms: Sequence[Samples], form: _Form) -> list[Transcription | None]:
        """Decode all clips greedily in one batch; None for a clip whose decode ends long before the clip."""
        encoded = self._model.encode(np.stack([self._features(samples) for samples in waveforms]))
        transcriptions: list[Transcription | None] = []
        for samples, (transcription, times) in zip(waveforms, self._decode(encoded, len(waveforms), form), strict=True):
            stopped_early = self._stopped_early(times, len(samples) / SAMPLE_RATE)
            transcriptions.append(None if stopped_early else transcription)
        return transcriptions

    def _transcribe_windows(self, waveforms: Sequence[Samples], language: str) -> dict[int, Transcription]:
        """Transcribe packed clips; return those whose transcription is clear, or the same in two windows.

        Clips that are not clear are packed once more, with other neighbours and wider gaps: two encodings that agree
        show that the clip is difficult, and its neighbours are not the reason.
        """
        found: dict[int, Transcription] = {}
        doubtful: dict[int, str] = {}
        for gap in GAPS:
            missing = {i: samples for i, samples in enumerate(waveforms) if i not in found}
            for window in place_clips(missing, gap):
                for place, (transcription, times) in self._decode_window(window, missing, language):
                    if _is_clear(place, transcription, times) or doubtful.get(place.index) == _letters(transcription):
                        found[place.index] = transcription
                    elif _is_usable(transcription):
                        doubtful[place.index] = _letters(transcription)
        return found

    def _decode_window(
        self, window: Sequence[PackedClip], waveforms: Mapping[int, Samples], language: str
    ) -> Iterator[tuple[PackedClip, tuple[Transcription, list[int]]]]:
        """Encode the clips of a window together; decode each alone, and yield its place, transcription and times."""
        import ctranslate2

        encoded = _as_array(self._model.encode(self._features(fill_window(window, waveforms))[None]))[0]
        for places in _batches(window, self._batch_size):
            alone = ctranslate2.StorageView.from_array(np.stack([isolate(encoded, self._silence, p) for p in places]))
            decoded = self._decode(alone, len(places), _Form(language), [place.start for place in places])
            yield from zip(places, decoded, strict=True)

    @cached_property
    def _silence(self) -> NDArray[np.float32]:
        """The encoder's output [1500, dim] for 30 s of silence."""
        silence: NDArray[np.float32] = _as_array(self._model.encode(self._features(fill_window((), {}))[None]))[0]
        return silence

    def _decode(
        self, encoded: Any, count: int, form: _Form, starts: Sequence[int] = ()
    ) -> list[tuple[Transcription, list[int]]]:
        """Decode greedily; return transcriptions, each with its timestamps in frames of 20 ms.

        `starts` are the frames at which the speech begins; without them the model finds it in the first second.
        """
        from faster_whisper.transcribe import get_suppressed_tokens

        languages = self._languages(encoded, count, form.language)
        tokenizers = {code: self._tokenizer(code) for code, _ in languages}
        any_tokenizer = next(iter(tokenizers.values()))
        first_time = any_tokenizer.timestamp_begin
        prompts = [self._model.get_prompt(tokenizers[code], []) for code, _ in languages]
        results = self._model.model.generate(
            encoded,
            [[*prompt, first_time + start] for prompt, start in zip(prompts, starts, strict=True)]
            if starts
            else prompts,
            beam_size=1,
            max_length=_LENGTH_LIMIT,
            suppress_tokens=get_suppressed_tokens(any_tokenizer, [_NON_SPEECH_TOKENS, *form.suppressed]),
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=FRAMES if starts else _MAX_INITIAL_TIMESTAMP,
        )
        decoded: list[tuple[Transcription, list[int]]] = []
        for (code, probability), result in zip(languages, results, strict=True):
            tokens = result.sequences_ids[0]
            text = tokenizers[code].decode(tokens).strip()
            # CTranslate2 divides by the tokens of the text, Whisper by those and the end token.
            score = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
            no_speech = float(result.no_speech_prob)
            transcription = Transcription(text, code, probability, score, no_speech, compression_ratio(text))
            decoded.append((transcription, [token - first_time for token in tokens if token >= first_time]))
        return decoded

    @staticmethod
    def _stopped_early(times: Sequence[int], duration: float) -> bool:
        return len(times) > 1 and times[-1] * 0.02 < duration - _TAIL_SECONDS

    def _transcribe_one(
        self, samples: Samples, form: _Form, *, beam_size: int, max_tokens: int | None = None
    ) -> Transcription:
        segments, info = self._model.transcribe(
            samples,
            language=form.language,
            suppress_tokens=[_NON_SPEECH_TOKENS, *form.suppressed],
            beam_size=beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            max_new_tokens=max_tokens,
        )
        decoded = list(segments)
        text = "".join(segment.text for segment in decoded).strip()
        num_tokens = np.array([max(1, len(segment.tokens)) for segment in decoded] or [1])
        logprobs = np.array([segment.avg_logprob for segment in decoded] or [0.0])
        no_speech = [segment.no_speech_prob for segment in decoded] or [1.0]
        return Transcription(
            text,
            info.language,
            self._language_probability(samples, info.language) if self.is_multilingual else None,
            float(np.average(logprobs, weights=num_tokens)),
            float(max(no_speech)),
            compression_ratio(text),
        )

    def _language_probability(self, samples: Samples, language: str) -> float:
        encoded = self._model.encode(self._features(samples[: int(_WINDOW_SECONDS * SAMPLE_RATE)])[None])
        return dict(self._model.model.detect_language(encoded)[0]).get(f"<|{language}|>", 0.0)


def _as_array(encoded: Any) -> NDArray[np.float32]:
    """Return the encoder's output as an array in main memory."""
    import ctranslate2

    return np.array(encoded.to_device(ctranslate2.Device.cpu) if encoded.device == "cuda" else encoded)


def _is_clear(place: PackedClip, transcription: Transcription, times: Sequence[int]) -> bool:
    """Return whether one window is enough: the text is likely, and its times end with the clip."""
    is_whole = not times or (max(times) <= place.part.stop and not place.stopped_early(times[-1]))
    return is_whole and transcription.average_logprob >= _CLEAR_LOGPROB and _is_usable(transcription)


def _is_usable(transcription: Transcription) -> bool:
    """Return whether a packed clip has words, in the declared language and without endless repetition."""
    likely = transcription.language_probability
    return (
        transcription.compression_ratio <= LOOP_RATIO
        and bool(_letters(transcription))
        and (likely is None or likely >= _CLEAR_LANGUAGE)
    )


def _letters(transcription: Transcription) -> str:
    """Return the letters and digits of the text, without case, spaces and punctuation."""
    return "".join(character for character in transcription.text.casefold() if character.isalnum())


def _lead_seconds(samples: Samples) -> float:
    """Return the silence that is put before a clip."""
    return _LEAD_SECONDS if len(samples) < _LEAD_BELOW_SECONDS * SAMPLE_RATE else 0.0


def _less_repetitive(first: Transcription, second: Transcription) -> Transcription:
    """Return the transcription with the lower compression ratio; the first of equals."""
    return min(first, second, key=lambda transcription: transcription.compression_ratio)


def _max_tokens(samples: Samples) -> int:
    """Return the largest plausible number of tokens in a window of the clip."""
    seconds = min(len(samples) / SAMPLE_RATE, _WINDOW_SECONDS)
    # Whisper decodes into at most half of the decoder's positions; the other half holds a prompt.
    return min(round(seconds * _MAX_TOKENS_PER_SECOND) + _SPARE_TOKENS, _LENGTH_LIMIT // 2)


def open_transcriber(name: str, *, device: str = "cpu", threads: int = 1) -> Transcriber:
    """Open the ASR model `name`: `tiny.en` (embedded), `base`, another faster-whisper name, or a directory.

    Raise DependencyError when it is neither installed nor can be fetched.
    """
    lateness = _LATENESS.get(name, 0.0)
    return FasterWhisper(model_directory(name), device=device, threads=threads, lateness=lateness)


def transcriber_revision(name: str) -> str:
    """Return the name and the revision of the weights, without loading them: `base@1a2b3c4d`."""
    if name == "base":
        return f"base@{weights.base_revision()}"
    return f"{Path(name).name}@{weights.file_revision(model_directory(name) / 'model.bin')}"
