"""Synthesize the items of an evaluation with a checkpoint."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from more_itertools import batched

from valle.audio import Audio
from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem, is_continuation
from valle.evaluation.systems.audio_files import pending, read_item_audio, speech_path, write_failure, write_speech
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
    """Write the speech of every item without a file below `directory`; the trial is added to the seed.

    `batch` items are synthesized at a time, and a kill loses at most one batch. With best-of-n the candidates of one
    item form a batch and the best one is written. An item for which the model generates no code is a failure. Raise
    ConfigurationError when best-of-n cannot rank the candidates.
    """
    missing = pending(items, name, directory)
    if not missing:
        return
    synthesizer = Synthesizer.load(checkpoint, backends)
    for members in batched(missing, batch):
        requests = [_request(item, synthesizer, sampling) for item in members]
        speeches = (
            synthesizer.speak_many(requests)
            if best_of.count == 1
            else [_best(item, request, synthesizer, best_of) for item, request in zip(members, requests, strict=True)]
        )
        for item, request, speech in zip(members, requests, speeches, strict=True):
            path = speech_path(directory, name, item)
            if len(speech.audio.samples):
                write_speech(path, _with_prefix(request, speech, synthesizer), item, seconds=speech.seconds)
            else:
                write_failure(path, "the model generated no speech")


def _request(item: EvaluationItem, synthesizer: Synthesizer, sampling: SamplingOptions) -> Request:
    symbols = synthesizer.phonemize(item.text, item.language)
    options = sampling.model_copy(update={"seed": sampling.seed + item.trial})
    if item.prompt_location is None:
        return Request(symbols, None, item.language, options)
    prompt = synthesizer.encode_prompt(read_item_audio(item.prompt_location, synthesizer.codec.spec.sample_rate))
    if is_continuation(item) and SPACE in symbols:
        # The text covers prompt and continuation, and the synthesizer joins the two with a space, so the text may be
        # divided at any space.
        index = symbols.index(SPACE)
        prompt = Prompt(prompt.codes, symbols[:index])
        options = options.model_copy(update={"continues_prompt": True})
        return Request(symbols[index + 1 :], prompt, item.language, options)
    return Request(symbols, prompt, item.language, options)


def _best(item: EvaluationItem, request: Request, synthesizer: Synthesizer, options: BestOfOptions) -> Speech:
    """Return the best of several candidates; its time is the sum over all of them."""
    if request.options.continues_prompt:
        raise ConfigurationError(
            "Best-of-n cannot rank candidates that continue a prompt, because the words of the prompt are unknown; "
            "leave best_of.count at 1 for this protocol."
        )
    result = speak_best_of(synthesizer, request, item.text, options=options)
    return replace(result.best.speech, seconds=sum(candidate.speech.seconds for candidate in result.candidates))


def _with_prefix(request: Request, speech: Speech, synthesizer: Synthesizer) -> Audio:
    """Return the speech, with its prompt in front when it continues it, because the text covers both."""
    if not request.options.continues_prompt or request.prompt is None:
        return speech.audio
    # Decoded together, because the decoder has context across the boundary.
    (samples,) = synthesizer.codec.decode([np.concatenate((request.prompt.codes, speech.codes), axis=1)])
    return Audio(samples, synthesizer.codec.spec.sample_rate)
