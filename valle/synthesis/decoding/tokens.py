"""Digits, phonemes and bytes, one after the other: how long a text takes, and what was said."""

from collections.abc import Sequence

import torch
from torch import Tensor

from valle.codec.base import Codes
from valle.model.batch import make_batch
from valle.model.cache import Cache
from valle.model.layout import Layout
from valle.model.row import Row
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import device_of
from valle.tasks.transcription import TRANSCRIPTION


@torch.inference_mode()
def decode_tokens(model: ValleModel, layout: Layout, rows: Sequence[Row], *, longest: int) -> list[list[int]]:
    """The likeliest ids of rows whose output is empty, without the stop: at most `longest` each, in their order."""
    stop = model.config.stop_of(layout.head)
    batch = make_batch(layout, rows, model.config).to(device_of(model))
    cache = Cache(model.config.depth, capacity=batch.positions.shape[1] + longest)
    logits = model.prefill(batch, cache)
    outputs: list[list[int]] = [[] for _ in rows]
    going = list(range(len(rows)))
    while True:
        chosen = logits[:, 0].argmax(-1).tolist()
        kept = [place for place, token in enumerate(chosen) if token != stop]
        for place in kept:
            outputs[going[place]].append(chosen[place])
        kept = [place for place in kept if len(outputs[going[place]]) < longest]
        if not kept:
            return outputs
        if len(kept) < len(going):
            cache.keep(torch.tensor(kept, device=logits.device))
            going = [going[place] for place in kept]
        tokens, places = _last(outputs, going, logits.device)
        logits = model.step(layout, tokens, places, cache)


def _last(outputs: Sequence[Sequence[int]], going: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """The newest token of each row that goes on, and its place."""
    tokens = torch.tensor([outputs[row][-1] for row in going], device=device)
    return tokens, torch.tensor([len(outputs[row]) - 1 for row in going], device=device)


def transcribe_codes(
    model: ValleModel, speech: Sequence[Codes], language_ids: Sequence[int], *, symbols_per_frame: float = 0.5
) -> list[list[int]]:
    """Phoneme ids of speech, codes [K, T] each. A transcript ends after `symbols_per_frame` symbols a frame at most."""
    longest = [max(1, int(symbols_per_frame * codes.shape[1])) for codes in speech]
    rows = [TRANSCRIPTION.row(codes, language) for codes, language in zip(speech, language_ids, strict=True)]
    written = decode_tokens(model, TRANSCRIPTION.layout, rows, longest=max(longest))
    return [symbols[:limit] for symbols, limit in zip(written, longest, strict=True)]
