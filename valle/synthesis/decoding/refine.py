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
    """Refine codebook 0 [1, T] of utterances of one task; the number of frames stays.

    Draws at a high temperature choose the words and their rhythm; the likeliest frames then have less noise.
    """
    spoken = [index for index, one in enumerate(decoded) if one.codes.shape[1]]
    targets = [np.concatenate([utterances[i].condition.first_prefix, decoded[i].codes], axis=1) for i in spoken]
    if not spoken:
        return list(decoded)
    rows = [utterances[i].condition.row(0, target) for i, target in zip(spoken, targets, strict=True)]
    task = utterances[spoken[0]].condition.task
    logits = model(speech_batch(model, task, Mode.AR, rows))[:, : model.config.stop]
    group = model.config.group
    # A row predicts whole groups, of which the last has the stop.
    lengths = [(target.shape[1] // group + 1) * group for target in targets]
    refined = list(decoded)
    for i, target, likeliest in zip(spoken, targets, logits.argmax(-1).cpu().split(lengths), strict=True):
        codes = likeliest[utterances[i].condition.first_prefix.shape[1] : target.shape[1]]
        refined[i] = replace(decoded[i], codes=codes.numpy().astype(np.int16)[None])
    return refined
