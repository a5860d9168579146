"""From one recording to another of the same length: suppression, removal, extraction and conversion.

Long recordings are cut at quiet points into pieces as long as the utterances of training, and joined again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from valle.audio import Audio, Samples, resample
from valle.synthesis.decoding.conditions import Condition, Draft
from valle.synthesis.decoding.decode import decode
from valle.synthesis.learnt import require_task
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Prompt, Speech, Synthesizer
from valle.synthesis.texts.recorded_text import DEFAULT_TEXT, RecordedText, TextOptions, read_text
from valle.tasks.mixtures.conversion import CONVERSION, SINGING
from valle.tasks.mixtures.extraction import EXTRACTION
from valle.tasks.mixtures.removal import REMOVAL
from valle.tasks.mixtures.suppression import SUPPRESSION
from valle.tasks.tts import TTS
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.checkpoints.checkpoint import CheckpointCard
    from valle.codec.base import Codes
    from valle.tasks.mixtures.mixture import MixtureTask

# Seconds. A piece is one row of the model, whose positions are trained up to the longest training rows.
_LONGEST_PIECE = 12.0
# Seconds before the longest end of a piece in which its end is searched.
_SEARCHED = 3.0
_HOP = 0.02


@dataclass(frozen=True, slots=True)
class Transform:
    """A task on a recording: what it is for, in words for a refusal, and its option of the training mix."""

    task: MixtureTask
    purpose: str
    option: str


TRANSFORMS = {
    transform.task.name: transform
    for transform in (
        Transform(SUPPRESSION, "remove noise", "suppression_ratio"),
        Transform(REMOVAL, "remove speech", "removal_ratio"),
        Transform(EXTRACTION, "extract a speaker", "extraction_ratio"),
        Transform(CONVERSION, "convert voices", "conversion_ratio"),
        Transform(SINGING, "convert singing", "singing_ratio"),
    )
}
"""Transforms by the name of their task."""


@dataclass(frozen=True, slots=True)
class TransformedRecording:
    """Speech that a task has made of a recording, and the text of the recording that it used."""

    speech: Speech
    text: RecordedText


def require_transform(synthesizer: Synthesizer, name: str) -> Transform:
    """Return a transform that the checkpoint has learnt. Raises CheckpointError otherwise."""
    transform = TRANSFORMS[name]
    require_task(synthesizer.card, name, purpose=transform.purpose, option=transform.option)
    return transform


def transform_sampling(card: CheckpointCard, given: SamplingOptions, trained: SamplingOptions) -> SamplingOptions:
    """Complete the sampling options of a task on a recording.

    What `given` leaves open is as in `trained`, but by NAR-len where the checkpoint has trained that: the length of the
    output is known (decision 59).
    """
    if not card.options.get("nar_len_ratio"):
        return given.over(trained)
    return given.over(SamplingOptions(decoding="nar-len").over(trained))


def transform(
    synthesizer: Synthesizer,
    name: str,
    recording: Audio,
    options: SamplingOptions,
    *,
    voice: Prompt | None = None,
    source: TextOptions = DEFAULT_TEXT,
) -> TransformedRecording:
    """Apply a task to a recording, with its text from a source; what speaks nothing is given no transcription.

    Raises CheckpointError for a checkpoint that has not learnt the task, ConfigurationError for a task that needs
    a voice and has none, and as `read_text`.
    """
    chosen = require_transform(synthesizer, name)
    if chosen.task.needs_prompt and voice is None:
        raise ConfigurationError(f"To {chosen.purpose}, give --voice with 3 to 6 seconds of the speaker.")
    if not chosen.task.speaks:
        source = replace(source, transcribe=False)
    pieces, text = _read(synthesizer, recording, source)
    started = time.monotonic()
    codes = synthesizer.codec.encode(pieces)
    conditions = [
        Condition(
            symbol_ids=_symbol_ids(synthesizer, words, text.language),
            language_id=synthesizer.card.model.language_id(text.language),
            prompt=voice.codes if voice is not None and chosen.task.needs_prompt else None,
            prefix=block[:, :0],
            task=chosen.task,
            context=chosen.task.context(block),
        )
        for block, words in zip(codes, text.pieces, strict=True)
    ]
    return TransformedRecording(_spoken(synthesizer, conditions, codes, options, started), text)


def convert_draft(
    synthesizer: Synthesizer,
    recording: Audio,
    voice: Prompt,
    options: SamplingOptions,
    *,
    source: TextOptions = DEFAULT_TEXT,
    kept: float = 0.3,
) -> TransformedRecording:
    """Convert a voice by text-to-speech that starts from the masked codes of the recording, frame by frame in place.

    No training of its own is needed, but a checkpoint with NAR-len and the text; `kept` is the share of the schedule
    that is skipped, and with it how much of the recording survives. Raises ConfigurationError for a piece of the
    recording without phonemes, and as `read_text`.
    """
    pieces, text = _read(synthesizer, recording, source)
    started = time.monotonic()
    symbols = [_symbol_ids(synthesizer, words, text.language) for words in text.pieces]
    if not all(map(len, symbols)):
        raise ConfigurationError("A draft speaks the words of the recording, and there are none; give them by --text.")
    codes = synthesizer.codec.encode(pieces)
    conditions = [
        Condition(
            symbol_ids=ids,
            language_id=synthesizer.card.model.language_id(text.language),
            prompt=voice.codes,
            prefix=block[:, :0],
            task=TTS,
            draft=Draft(block, kept),
        )
        for block, ids in zip(codes, symbols, strict=True)
    ]
    # The draft takes the place of frames that are decoded first.
    masked = options.masked.model_copy(update={"prefix_seconds": 0.0})
    sampling = options.model_copy(update={"decoding": "nar-len", "masked": masked})
    return TransformedRecording(_spoken(synthesizer, conditions, codes, sampling, started), text)


def _read(synthesizer: Synthesizer, recording: Audio, source: TextOptions) -> tuple[list[Samples], RecordedText]:
    """Return the pieces of a recording at the rate of the codec, and its text."""
    rate = synthesizer.codec.spec.sample_rate
    pieces = split_at_quiet_points(Audio(resample(recording.samples, recording.sample_rate, rate), rate))
    return pieces, read_text(synthesizer.backends, pieces, rate, source, synthesizer.card.model.languages)


def split_at_quiet_points(audio: Audio) -> list[Samples]:
    """Cut a recording into pieces of at most 12 s, each at the quietest 20 ms of its last 3 s."""
    hop = round(_HOP * audio.sample_rate)
    longest, searched = round(_LONGEST_PIECE * audio.sample_rate), round(_SEARCHED * audio.sample_rate)
    pieces, rest = [], audio.samples
    while len(rest) > longest:
        window = rest[longest - searched : longest]
        levels = np.square(window[: len(window) // hop * hop], dtype=np.float64).reshape(-1, hop).mean(axis=1)
        # In the middle of the quietest window: both pieces keep half of the pause.
        cut = longest - searched + int(levels.argmin()) * hop + hop // 2
        pieces.append(rest[:cut])
        rest = rest[cut:]
    return [*pieces, rest]


def _spoken(
    synthesizer: Synthesizer,
    conditions: list[Condition],
    given: list[Codes],
    options: SamplingOptions,
    started: float,
) -> Speech:
    rate = synthesizer.codec.spec.frame_rate
    sampling = [_as_long_as(options, block.shape[1] / rate) for block in given]
    decoded = decode(synthesizer.model, conditions, sampling)
    codes = np.concatenate([one.codes for one in decoded], axis=1)
    samples = synthesizer.codec.decode([codes])[0] if codes.shape[1] else np.zeros(0, dtype=np.float32)
    audio = Audio(samples, synthesizer.codec.spec.sample_rate)
    return Speech(codes, audio, all(one.is_complete for one in decoded), time.monotonic() - started)


def _as_long_as(options: SamplingOptions, seconds: float) -> SamplingOptions:
    """Return options for an output as long as the recording: exactly in NAR-len, at most 1.2 times in AR."""
    if options.decoding == "nar-len":
        return options.model_copy(update={"seconds": seconds, "max_seconds": seconds})
    return options.model_copy(update={"max_seconds": 1.2 * seconds})


def _symbol_ids(synthesizer: Synthesizer, text: str, language: str) -> NDArray[np.int64]:
    symbols = synthesizer.phonemize(text, language) if text else ()
    # A text without phonemes is no text, not one that begins and ends.
    return np.array(synthesizer.card.phoneme_table.encode(symbols) if symbols else (), dtype=np.int64)
