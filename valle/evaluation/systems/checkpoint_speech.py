"""What a checkpoint of ours says when it is evaluated."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from valle.audio import Audio
from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem, continues
from valle.evaluation.systems.audio_files import keep_failure, keep_speech, pending, read_item_audio, speech_path
from valle.phonemes import SPACE
from valle.synthesis.best_of import speak_best_of
from valle.synthesis.options import DEFAULT_BEST_OF, BestOfOptions, SamplingOptions
from valle.synthesis.synthesizer import Prompt, Request, Speech, Synthesizer
from warehouse.errors import ConfigurationError


def speak_items(
    items: Sequence[EvaluationItem],
    checkpoint: Path,
    *,
    name: str,
    sampling: SamplingOptions,
    directory: Path,
    backends: Backends,
    batch: int = 1,
    best_of: BestOfOptions = DEFAULT_BEST_OF,
) -> None:
    """Write the speech of every item that has none yet below `directory`; the trial is added to the seed.

    `batch` are spoken at a time (of several takes of one, which are spoken together, the best is kept) and lost by a
    kill. An item of which the model says nothing at all is a failure. Raises ConfigurationError for takes that nothing
    can tell apart.
    """
    missing = pending(items, name, directory)
    if not missing:
        return
    synthesizer = Synthesizer.load(checkpoint, backends)
    for together in _batched(missing, batch):
        requests = [_request(item, synthesizer, sampling) for item in together]
        spoken = (
            synthesizer.speak_many(requests)
            if best_of.count == 1
            else [_best(item, request, synthesizer, best_of) for item, request in zip(together, requests, strict=True)]
        )
        for item, request, speech in zip(together, requests, spoken, strict=True):
            path = speech_path(directory, name, item)
            if len(speech.audio.samples):
                audio = _with_prefix(request, speech, synthesizer)
                keep_speech(path, audio, item, seconds=speech.seconds)
            else:
                keep_failure(path, "the model ended before it said anything")


def _request(item: EvaluationItem, synthesizer: Synthesizer, sampling: SamplingOptions) -> Request:
    symbols = synthesizer.phonemize(item.text, item.language)
    options = sampling.model_copy(update={"seed": sampling.seed + item.trial})
    if item.prompt_location is None:
        return Request(symbols, None, item.language, options)
    prompt = synthesizer.encode_prompt(read_item_audio(item.prompt_location, synthesizer.codec.spec.sample_rate))
    if continues(item) and SPACE in symbols:
        # The text covers prompt and continuation, and the synthesizer joins the two with a space: any space will do.
        place = symbols.index(SPACE)
        prompt = Prompt(prompt.codes, symbols[:place])
        options = options.model_copy(update={"continues_prompt": True})
        return Request(symbols[place + 1 :], prompt, item.language, options)
    return Request(symbols, prompt, item.language, options)


def _best(item: EvaluationItem, request: Request, synthesizer: Synthesizer, options: BestOfOptions) -> Speech:
    """The best of several takes; its time is that of them all."""
    if request.options.continues_prompt:
        raise ConfigurationError(
            "The best of several takes cannot be told where a prompt is continued, because its words are not known "
            "apart; leave best_of.count at 1 for this protocol."
        )
    spoken = speak_best_of(synthesizer, request, item.text, options=options)
    return replace(spoken.best.speech, seconds=sum(candidate.speech.seconds for candidate in spoken.candidates))


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
