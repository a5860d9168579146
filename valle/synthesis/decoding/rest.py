"""Decode the codebooks that are not known yet, one pass each: of a whole utterance or of a window of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from valle.model.layout import Mode
from valle.synthesis.decoding.conditions import Condition, Utterance, speech_batch
from valle.synthesis.decoding.groups import apply_by_group
from valle.synthesis.decoding.guidance import guide
from valle.synthesis.samplers.draws import draw

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.batch import Batch
    from valle.model.valle import ValleModel

_Adapters = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """Frames of one utterance to complete: `first` [K', T] are the first codebooks of the frames after `known` [K, n].

    Known frames keep their codes, and so do the frames `after` [K, m] the span. `start` is the index of the first known
    frame in the target: a window leaves out what is far before it, and its frames keep their positions.
    """

    utterance: Utterance
    known: Codes
    first: Codes
    generator: torch.Generator
    start: int = 0
    after: Codes | None = None

    @property
    def given_end(self) -> Codes:
        """Return the frames after the span, [K, m]."""
        return self.known[:, :0] if self.after is None else self.after


@torch.inference_mode()
def decode_rest(model: ValleModel, spans: Sequence[FrameSpan]) -> list[Codes]:
    """Decode codebooks 1 and up of spans of one task: codes [K, T] each. Spans without a frame stay empty.

    Whole frames have them already.
    """
    num_codebooks = model.config.num_codebooks
    if model.config.whole_frames:
        return [span.first for span in spans]
    targets = [np.concatenate([span.known[:1], span.first, span.given_end[:1]], axis=1) for span in spans]
    # A row without a frame has nothing to predict.
    spoken = [index for index, span in enumerate(spans) if span.first.shape[1]]
    for codebook in range(1, num_codebooks if spoken else 1):
        pairs = [(spans[index], targets[index]) for index in spoken]
        for index, logits in zip(spoken, _guided_logits(model, pairs, codebook), strict=True):
            span = spans[index]
            codes = draw(logits, span.utterance.options.nar_temperature, span.generator).numpy().astype(np.int16)
            codes[: span.known.shape[1]] = span.known[codebook]
            codes[len(codes) - span.given_end.shape[1] :] = span.given_end[codebook]
            targets[index] = np.concatenate([targets[index], codes[None]])
    return [
        _with_all_codebooks(target, num_codebooks)[:, span.known.shape[1] :][:, : span.first.shape[1]]
        for target, span in zip(targets, spans, strict=True)
    ]


def _guided_logits(model: ValleModel, pairs: Sequence[tuple[FrameSpan, Codes]], codebook: int) -> list[Tensor]:
    """Compute logits [T, V] of one codebook of each span, given its codebooks below, [codebook, T]."""

    def compute(is_guided: bool, group: Sequence[tuple[FrameSpan, Codes]]) -> list[Tensor]:
        targets = [target for _, target in group]
        starts = [span.start for span, _ in group]
        conditions = [span.utterance.condition for span, _ in group]
        conditional = _logits(model, conditions, targets, starts, codebook)
        if not is_guided:
            return conditional
        nulls = _logits(model, [condition.without_text() for condition in conditions], targets, starts, codebook)
        options = [span.utterance.options for span, _ in group]
        return [
            guide(logits, null, one.nar_guidance, one.guidance_rescale)
            for logits, null, one in zip(conditional, nulls, options, strict=True)
        ]

    def compute_adapted(key: tuple[bool, _Adapters], group: Sequence[tuple[FrameSpan, Codes]]) -> list[Tensor]:
        with model.adapters.using(dict(key[1])):
            return compute(key[0], group)

    return apply_by_group(
        pairs,
        lambda pair: (pair[0].utterance.options.nar_guidance != 1, pair[0].utterance.condition.adapters),
        compute_adapted,
    )


def _logits(
    model: ValleModel, conditions: Sequence[Condition], targets: Sequence[Codes], starts: Sequence[int], codebook: int
) -> list[Tensor]:
    rows = [condition.row(codebook, target) for condition, target in zip(conditions, targets, strict=True)]
    lengths = [target.shape[1] for target in targets]
    logits = model(_moved(speech_batch(model, conditions[0].task, Mode.NAR, rows), starts, lengths)).float().cpu()
    return list(logits.tensor_split(torch.from_numpy(np.cumsum(lengths)[:-1])))


def _moved(batch: Batch, starts: Sequence[int], lengths: Sequence[int]) -> Batch:
    """Move the positions of the target of each row to where its frames are in the utterance."""
    if not any(starts):
        return batch
    positions = batch.positions.flatten().clone()
    slots = batch.slots[batch.layout.output.name]
    positions[slots] += torch.from_numpy(np.repeat(starts, lengths)).to(positions)
    return dataclasses.replace(batch, positions=positions.view_as(batch.positions))


def _with_all_codebooks(codes: Codes, num_codebooks: int) -> Codes:
    """Return codes [K, T]; an utterance without a frame has only codebook 0 until here."""
    return codes if len(codes) == num_codebooks else np.zeros((num_codebooks, codes.shape[1]), dtype=np.int16)
