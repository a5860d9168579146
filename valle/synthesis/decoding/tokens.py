"""Decode digits and phonemes one after the other: durations of texts and phonemes of speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from valle.model.batch import make_batch
from valle.tasks.transcription import TRANSCRIPTION

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.layout import Layout
    from valle.model.row import Row
    from valle.model.valle import ValleModel


@torch.inference_mode()
def decode_tokens(model: ValleModel, layout: Layout, rows: Sequence[Row], *, longest: int) -> list[list[int]]:
    """Decode the likeliest ids of rows with an empty output, without the stop: at most `longest` each, in order."""
    stop = model.config.stop_of(layout.head)
    batch = make_batch(layout, rows, model.config).to(model.device)
    # Rows that end leave the cache, as in the decoding of frames.
    cache = model.new_cache(batch.positions.shape[1] + longest)
    logits = model.prefill(batch, cache)
    outputs: list[list[int]] = [[] for _ in rows]
    active = list(range(len(rows)))
    while True:
        chosen = logits[:, 0].argmax(-1).tolist()
        kept = [row for row, token in enumerate(chosen) if token != stop]
        for row in kept:
            outputs[active[row]].append(chosen[row])
        kept = [row for row in kept if len(outputs[active[row]]) < longest]
        if not kept:
            return outputs
        if len(kept) < len(active):
            cache.keep(torch.tensor(kept, device=logits.device))
            active = [active[row] for row in kept]
        tokens, indices = _last(outputs, active, logits.device)
        logits = model.step(layout, tokens, indices, cache)


def _last(outputs: Sequence[Sequence[int]], active: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the newest token of each active row and its index."""
    tokens = torch.tensor([outputs[row][-1] for row in active], device=device)
    return tokens, torch.tensor([len(outputs[row]) - 1 for row in active], device=device)


def transcribe_codes(
    model: ValleModel, speech: Sequence[Codes], language_ids: Sequence[int], *, symbols_per_frame: float = 0.5
) -> list[list[int]]:
    """Transcribe speech, codes [K, T] each, to phoneme ids: at most `symbols_per_frame` of them per frame."""
    longest = [max(1, int(symbols_per_frame * codes.shape[1])) for codes in speech]
    rows = [TRANSCRIPTION.row(codes, language) for codes, language in zip(speech, language_ids, strict=True)]
    transcripts = decode_tokens(model, TRANSCRIPTION.layout, rows, longest=max(longest))
    return [symbols[:limit] for symbols, limit in zip(transcripts, longest, strict=True)]
