"""Edit recorded speech: replace words of it, and leave every frame outside the replaced span as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from valle.audio import Audio, Samples, resample
from valle.backends.alignment import TimedWord, letters_of, words_of
from valle.backends.asr import LONGEST_ALIGNED_SECONDS, SAMPLE_RATE
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.learnt import require_task
from valle.synthesis.texts.recorded_text import DEFAULT_TEXT, RecordedText, TextOptions, open_asr, read_text
from valle.tasks.editing import EDITING, NOISY_EDITING
from valle.tasks.words import word_borders
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.synthesis.options import EditingMethod, SamplingOptions
    from valle.synthesis.synthesizer import Synthesizer

# Long enough that a join does not click, and shorter than a phoneme.
_FADE_SECONDS = 0.01
# Longest AR output, as a factor of the expected duration of the new words.
_LONGEST_RATIO = 3.0


@dataclass(frozen=True, slots=True)
class Replacement:
    """Words that occur once in a text, and the words in their place; no new words cut the old ones out."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class WordSpan:
    """The words `first` to `last` - 1 of a recording, and the words in their place."""

    first: int
    last: int
    new: str


@dataclass(frozen=True, slots=True)
class EditedSpeech:
    """Speech with other words: codes [K, T], audio, the new text, and the frames of each new span in order.

    `is_complete` is False when the longest duration cut a span.
    """

    codes: Codes
    audio: Audio
    text: str
    spans: tuple[tuple[int, int], ...]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """Speech to edit: audio at the rate of the codec, its codes, its words in time, and the text they are of."""

    audio: Audio
    codes: Codes
    words: tuple[TimedWord, ...]
    text: RecordedText

    @property
    def language(self) -> str:
        """ISO 639-1 code of the words."""
        return self.text.language

    @property
    def borders(self) -> list[int]:
        """Frames between the words, as in training."""
        frames = self.codes.shape[1]
        # The audio and its codes may differ by a part of a frame, which would shift the last words.
        times = np.array([[word.start, word.end] for word in self.words]) * (frames / self.audio.duration)
        return [int(border) for border in word_borders(times, frames)]


def parse_replacement(text: str) -> Replacement:
    """Parse "old words=new words". Raises ConfigurationError without old words."""
    old, equals, new = text.partition("=")
    if not equals or not words_of(old):
        raise ConfigurationError(f'A replacement is "old words=new words", not {text!r}.')
    return Replacement(" ".join(old.split()), " ".join(new.split()))


def read_recording(synthesizer: Synthesizer, audio: Audio, source: TextOptions = DEFAULT_TEXT) -> Recording:
    """Locate the words of a recording, of at most 30 s.

    Raises ConfigurationError for a longer recording and for one whose words cannot be located, and as `read_text`.
    """
    if audio.duration > LONGEST_ALIGNED_SECONDS:
        raise ConfigurationError(
            f"The recording lasts {audio.duration:.0f} s; cut it to at most {LONGEST_ALIGNED_SECONDS:g} s."
        )
    wave = resample(audio.samples, audio.sample_rate, SAMPLE_RATE)
    text = read_text(synthesizer.backends, [wave], SAMPLE_RATE, source, synthesizer.card.model.languages)
    (words,) = open_asr(synthesizer.backends, source.asr, text.language).align([wave], [text.text], text.language)
    # Without a second word there is no speech outside the span that an edit could keep.
    if len(words) < 2:
        raise ConfigurationError(
            f"The words of {text.text!r} cannot be located in the recording; give its text with --text, or another "
            "--asr."
        )
    codec = synthesizer.codec
    samples = resample(audio.samples, audio.sample_rate, codec.spec.sample_rate)
    return Recording(Audio(samples, codec.spec.sample_rate), codec.encode([samples])[0], tuple(words), text)


def edit(
    synthesizer: Synthesizer,
    recording: Recording,
    replacements: Sequence[Replacement],
    options: SamplingOptions,
    method: EditingMethod = "task",
) -> EditedSpeech:
    """Replace words of a recording; every frame outside the spans keeps its codes, and its samples are the recording's.

    In `noisy` the new words have the noise of the recording. `masked` needs no training of its own: NAR-len
    text-to-speech predicts the span between the frames that are kept.
    Raises CheckpointError for a checkpoint that has not learnt to edit, and ConfigurationError for old words that do
    not occur exactly once, for replacements that overlap and for new words without a phoneme.
    """
    require_editing(synthesizer, method)
    words = [word.word for word in recording.words]
    spans = [WordSpan(*find_words(words, one.old), one.new) for one in replacements]
    return edit_spans(synthesizer, recording, spans, options, method)


def edit_spans(
    synthesizer: Synthesizer,
    recording: Recording,
    spans: Sequence[WordSpan],
    options: SamplingOptions,
    method: EditingMethod = "task",
) -> EditedSpeech:
    """Replace words of a recording by their numbers; otherwise as `edit`."""
    require_editing(synthesizer, method)
    found = sorted(spans, key=lambda span: (span.first, span.last))
    # The second of two that share words would look for words that the first has removed.
    if any(before.last > after.first for before, after in pairwise(found)):
        raise ConfigurationError("Two replacements share words; give them as one.")
    if any(not 0 <= span.first < span.last <= len(recording.words) for span in found):
        raise ConfigurationError(f"The recording has {len(recording.words)} words; choose among them.")
    edited = _Edited(synthesizer, recording, options, method)
    # From the end on: the borders of the words before a span stay what they are.
    for span in reversed(found):
        edited.replace(span.first, span.last, span.new)
    return edited.result()


def require_editing(synthesizer: Synthesizer, method: EditingMethod = "task") -> None:
    """Return if the checkpoint can edit by this method. Raises CheckpointError for a task that it has not learnt."""
    if method == "task":
        require_task(synthesizer.card, EDITING.name, purpose="edit speech", option="editing_ratio")
    elif method == "noisy":
        option = "noisy_editing_ratio"
        require_task(synthesizer.card, NOISY_EDITING.name, purpose="edit noisy speech", option=option)


def find_words(words: Sequence[str], old: str) -> tuple[int, int]:
    """Return the first and the last index + 1 of words that occur exactly once, without case and punctuation.

    Raises ConfigurationError otherwise.
    """
    wanted = [letters_of(word) for word in words_of(old)]
    # Transcripts differ from what is typed in case and punctuation only.
    plain = [letters_of(word) for word in words]
    found = [start for start in range(len(plain)) if plain[start : start + len(wanted)] == wanted]
    if len(found) != 1:
        problem = "are not" if not found else f"are {len(found)} times"
        raise ConfigurationError(f"The words {old!r} {problem} in the text {' '.join(words)!r}; they must be once.")
    return found[0], found[0] + len(wanted)


class _Edited:
    """A recording with some spans replaced, from the end on."""

    def __init__(
        self, synthesizer: Synthesizer, recording: Recording, options: SamplingOptions, method: EditingMethod
    ) -> None:
        self._synthesizer = synthesizer
        self._recording = recording
        self._options = _masked(options) if method == "masked" else options
        self._method = method
        self._words = [word.word for word in recording.words]
        self._codes = recording.codes
        self._samples = recording.audio.samples
        self._spans: list[tuple[int, int]] = []
        self._is_complete = True

    def replace(self, first: int, last: int, new: str) -> None:
        """Replace the words `first` to `last` - 1."""
        borders = self._recording.borders
        start, end = borders[first], borders[last]
        self._words[first:last] = words_of(new)
        before, after = self._codes[:, :start], self._codes[:, end:]
        span = self._fill(before, after, new) if new else before[:, :0]
        self._spans = [(b + span.shape[1] - (end - start), e + span.shape[1] - (end - start)) for b, e in self._spans]
        self._spans.insert(0, (start, start + span.shape[1]))
        self._codes = np.concatenate([before, span, after], axis=1)
        self._samples = self._joined(start, end, start + span.shape[1])

    def result(self) -> EditedSpeech:
        """Return the edited speech."""
        rate = self._recording.audio.sample_rate
        audio = Audio(self._samples, rate)
        return EditedSpeech(self._codes, audio, " ".join(self._words), tuple(self._spans), self._is_complete)

    def _fill(self, before: Codes, after: Codes, new: str) -> Codes:
        """Decode the codes of the new words between both sides."""
        synthesizer, language = self._synthesizer, self._recording.language
        symbols = synthesizer.phonemize(" ".join(self._words), language)
        spoken = len(synthesizer.phonemize(new, language))
        if not spoken:
            raise ConfigurationError(f"The new words {new!r} have no phonemes.")
        seconds = spoken * self._seconds_per_symbol()
        longest = min(self._options.max_seconds, _LONGEST_RATIO * seconds + 0.5)
        sampling = self._options.model_copy(update={"max_seconds": longest})
        if sampling.decoding == "nar-len" and sampling.seconds is None:
            sampling = sampling.model_copy(update={"seconds": seconds})
        (decoded,) = decode(synthesizer.model, [self._condition(symbols, before, after)], [sampling])
        self._is_complete &= decoded.is_complete
        return decoded.codes

    def _condition(self, symbols: Sequence[str], before: Codes, after: Codes) -> Condition:
        card = self._synthesizer.card
        plain = Condition(
            symbol_ids=np.array(card.phoneme_table.encode(symbols)),
            language_id=card.model.language_id(self._recording.language),
            prompt=None,
            prefix=before,
            suffix=after,
        )
        if self._method != "masked":
            task = EDITING if self._method == "task" else NOISY_EDITING
            return replace(plain, task=task, context=task.context(before, after))
        # Text-to-speech knows a voice by its prompt: the words that are kept.
        return replace(plain, prompt=np.concatenate([before, after], axis=1))

    def _seconds_per_symbol(self) -> float:
        """Return the rate of this recording: a model's guess of the length does not know how fast it is spoken."""
        words = self._recording.words
        text = " ".join(word.word for word in words)
        symbols = max(1, len(self._synthesizer.phonemize(text, self._recording.language)))
        return (words[-1].end - words[0].start) / symbols

    def _joined(self, start: int, end: int, new_end: int) -> Samples:
        """Return the samples with those of the span decoded in its context and blended into the recording."""
        codec = self._synthesizer.codec
        hop, fade = codec.spec.hop_length, round(_FADE_SECONDS * codec.spec.sample_rate)
        decoded = codec.decode([self._codes])[0]
        before, after = self._samples[: start * hop], self._samples[end * hop :]
        return blend(before, decoded, after, first=start * hop, last=new_end * hop, fade=fade)


def _masked(options: SamplingOptions) -> SamplingOptions:
    # The words before the span take the place of frames that are decoded first.
    masked = options.masked.model_copy(update={"prefix_seconds": 0.0})
    return options.model_copy(update={"decoding": "nar-len", "masked": masked})


def blend(before: Samples, decoded: Samples, after: Samples, *, first: int, last: int, fade: int) -> Samples:
    """Put samples `first` to `last` of `decoded` between two waveforms of a recording.

    The decoded waveform has both sides too: over `fade` samples on each side it is mixed with the recording, so that
    the edges neither click nor fall silent.
    """
    span = decoded[first:last]
    joined = np.concatenate([before, span, after])
    start = min(fade, len(before))
    if start:
        up = np.linspace(0, 1, start, dtype=np.float32)
        joined[len(before) - start : len(before)] = before[-start:] * (1 - up) + decoded[first - start : first] * up
    stop = min(fade, len(after), len(decoded) - last)
    if stop > 0:
        down = np.linspace(1, 0, stop, dtype=np.float32)
        offset = len(before) + len(span)
        joined[offset : offset + stop] = after[:stop] * (1 - down) + decoded[last : last + stop] * down
    return joined
