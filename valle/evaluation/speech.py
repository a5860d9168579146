"""The speech of an evaluation: one folder per system, laid out as a corpus, so that it goes down the road again.

Ground truth, the same through the codec, the prompt given back, and what the checkpoint says: each becomes audio
files with their texts. Files that exist are kept, so an evaluation that was killed goes on where it stood.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.codec.base import Codec
from valle.evaluation.controls import CODEC, GROUND_TRUTH, PROMPT_COPIED
from valle.evaluation.items import EvaluationItem
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Request, Synthesizer
from warehouse.errors import ConfigurationError

_BATCH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One file of speech: which system made it of which item; seconds is the time that took, if it was measured."""

    system: str
    utterance: str
    trial: int
    path: Path


def spoken(directory: Path, system: str, item: EvaluationItem) -> Spoken:
    """Where the speech of an item by a system lies (or will lie) below `directory`."""
    path = directory / system / f"{item.utterance}-{item.trial}.flac"
    return Spoken(system=system, utterance=item.utterance, trial=item.trial, path=path)


def write_controls(items: Sequence[EvaluationItem], codec: Codec, directory: Path) -> list[Spoken]:
    """Write the ground truth, its codec resynthesis and the copied prompts.

    Raises ConfigurationError when a recording can no longer be read.
    """
    rate = codec.spec.sample_rate
    written = []
    for item in items:
        truth, copied, resynthesis = (spoken(directory, name, item) for name in (GROUND_TRUTH, PROMPT_COPIED, CODEC))
        if not truth.path.exists():
            _write(truth, _read(item.location, rate), item)
        if not copied.path.exists():
            _write(copied, _read(item.prompt_location, rate), item)
        if not resynthesis.path.exists():
            (decoded,) = codec.decode(codec.encode([_read(item.location, rate).samples]))
            _write(resynthesis, Audio(decoded, rate), item)
        written += [truth, copied, resynthesis]
    return written


def write_speech(
    items: Sequence[EvaluationItem], synthesizer: Synthesizer, directory: Path, *, options: SamplingOptions
) -> list[Spoken]:
    """Speak every item in the voice of its prompt; the trial is added to the seed.

    An item of which the model says nothing at all gets no file, and counts as all errors when it is scored.
    """
    system, rate = synthesizer.card.checkpoint_id, synthesizer.codec.spec.sample_rate
    files = [spoken(directory, system, item) for item in items]
    pending = [(item, file) for item, file in zip(items, files, strict=True) if not file.path.exists()]
    for batch in _batched(pending, _BATCH):
        requests = [
            Request(
                synthesizer.symbols(item.text, item.language),
                synthesizer.prompt(_read(item.prompt_location, rate)),
                item.language,
                options.model_copy(update={"seed": options.seed + item.trial}),
            )
            for item, _ in batch
        ]
        for (item, file), speech in zip(batch, synthesizer.speak_many(requests), strict=True):
            if len(speech.audio.samples):
                _write(file, speech.audio, item)
    return [file for file in files if file.path.exists()]


def _read(location: AudioLocation, sample_rate: int) -> Audio:
    try:
        return read_audio(location, sample_rate)
    except UnreadableAudio as error:
        raise ConfigurationError(f"The evaluation needs {location.path}, which cannot be read ({error}).") from error


def _write(file: Spoken, audio: Audio, item: EvaluationItem) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    # The text first: an audio file that exists has its text.
    file.path.with_suffix(".txt").write_text(item.text + "\n", encoding="utf-8")
    write_audio(file.path, audio)


def _batched(
    pairs: Iterable[tuple[EvaluationItem, Spoken]], size: int
) -> Iterator[list[tuple[EvaluationItem, Spoken]]]:
    iterator = iter(pairs)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
