"""A checkpoint of ours as a system that an evaluation measures."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from valle.audio import Audio
from valle.backends import Backends
from valle.evaluation.control_speech import decoder_revision
from valle.evaluation.items import EvaluationItem, continues
from valle.evaluation.speech import keep_failure, keep_speech, pending, read_item_audio, speech_path
from valle.phonemes import SPACE
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Prompt, Request, Speech, Synthesizer
from valle.training.checkpoint import CheckpointCard
from warehouse.errors import ConfigurationError

_BATCH = 8


@dataclass(frozen=True, slots=True)
class CheckpointSystem:
    """A checkpoint of ours. The trial is added to the seed of the sampling."""

    checkpoint: Path
    card: CheckpointCard
    sampling: SamplingOptions

    @property
    def name(self) -> str:
        """See `System`."""
        return self.card.checkpoint_id

    @property
    def identity(self) -> str:
        """See `System`."""
        return f"{self.card.checkpoint_id} {_decoder(self.card.codec.name)} {self.sampling.model_dump_json()}"

    @property
    def checkpoint_id(self) -> str | None:
        """See `System`."""
        return self.card.checkpoint_id

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """See `System`. An item of which the model says nothing at all is a failure."""
        missing = pending(items, self.name, directory)
        if not missing:
            return
        synthesizer = Synthesizer.load(self.checkpoint, backends)
        for batch in _batched(missing, _BATCH):
            requests = [_request(item, synthesizer, self.sampling) for item in batch]
            for item, request, speech in zip(batch, requests, synthesizer.speak_many(requests), strict=True):
                path = speech_path(directory, self.name, item)
                if len(speech.audio.samples):
                    audio = _with_prefix(request, speech, synthesizer)
                    keep_speech(path, audio, item, seconds=speech.seconds)
                else:
                    keep_failure(path, "the model ended before it said anything")


def _decoder(codec: str) -> str:
    """The decoder that gives the codes a voice; of a codec that is not ours only its name."""
    try:
        return decoder_revision(codec)
    except ConfigurationError:
        return codec


def _request(item: EvaluationItem, synthesizer: Synthesizer, sampling: SamplingOptions) -> Request:
    symbols = synthesizer.symbols(item.text, item.language)
    options = sampling.model_copy(update={"seed": sampling.seed + item.trial})
    if item.prompt_location is None:
        return Request(symbols, None, item.language, options)
    prompt = synthesizer.prompt(read_item_audio(item.prompt_location, synthesizer.codec.spec.sample_rate))
    if continues(item) and SPACE in symbols:
        # The text covers prompt and continuation, and the synthesizer joins the two with a space: any space will do.
        place = symbols.index(SPACE)
        prompt = Prompt(prompt.codes, symbols[:place])
        options = options.model_copy(update={"continues_prompt": True})
        return Request(symbols[place + 1 :], prompt, item.language, options)
    return Request(symbols, prompt, item.language, options)


def _with_prefix(request: Request, speech: Speech, synthesizer: Synthesizer) -> Audio:
    """The speech; after its prompt when it continues it, because the text covers both."""
    if not request.options.continues_prompt or request.prompt is None:
        return speech.audio
    (samples,) = synthesizer.codec.decode([np.concatenate((request.prompt.codes, speech.codes), axis=1)])
    return Audio(samples, synthesizer.codec.spec.sample_rate)


def _batched(items: Sequence[EvaluationItem], size: int) -> Iterator[list[EvaluationItem]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
