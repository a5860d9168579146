"""Refine decoded frames: replace each by the likeliest one after the frames before it, all in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from valle.model.layout import Mode
from valle.synthesis.decoding.conditions import Decoded, Utterance, speech_batch

if TYPE_CHECKING:
    from valle.model.valle import ValleModel


@torch.inference_mode()
def refine(model: ValleModel, utterances: Sequence[Utterance], decoded: Sequence[Decoded]) -> list[Decoded]:
    """Refine codebook 0, or whole frames, [K', T] of utterances of one task; the number of frames stays.

    Draws at a high temperature choose the words and their rhythm; the likeliest frames then have less noise.
    """
    spoken = [index for index, one in enumerate(decoded) if one.codes.shape[1]]
    if not spoken:
        return list(decoded)
    config = model.config
    prefixes = [utterances[i].condition.prefix[: config.codebooks_per_pass] for i in spoken]
    targets = [np.concatenate([prefix, decoded[i].codes], axis=1) for prefix, i in zip(prefixes, spoken, strict=True)]
    rows = [utterances[i].condition.row(0, target) for i, target in zip(spoken, targets, strict=True)]
    task = utterances[spoken[0]].condition.task
    logits = model(speech_batch(model, task, Mode.AR, rows))[:, : config.stop]
    group = config.group
    # A row predicts whole groups, of which the last has the stop.
    lengths = [(target.shape[1] // group + 1) * group for target in targets]
    likeliest = logits.argmax(-1).cpu().view(-1, config.codebooks_per_pass).split(lengths)
    refined = list(decoded)
    for i, prefix, target, frames in zip(spoken, prefixes, targets, likeliest, strict=True):
        codes = frames[prefix.shape[1] : target.shape[1]]
        refined[i] = replace(decoded[i], codes=codes.numpy().astype(np.int16).T)
    return refined
