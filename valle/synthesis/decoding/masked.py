"""Decode codebook 0 from masks (NAR-len) in a few rounds, each of which keeps the most certain frames.

MaskGIT (Chang et al., arXiv 2202.04200) with the cosine schedule, as in MaskGCT (Wang et al., arXiv 2409.00750).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from valle.model.layout import Mode
from valle.synthesis.decoding.conditions import Decoded, Utterance, speech_batch
from valle.synthesis.decoding.groups import apply_by_group
from valle.synthesis.decoding.guidance import guide
from valle.synthesis.decoding.seeds import seeded_generator
from valle.synthesis.samplers.draws import draw
from valle.synthesis.samplers.filters import keep_likely, suppress

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.valle import ValleModel
    from valle.synthesis.options import MaskedOptions


def mask_counts(num_frames: int, steps: int, start: float = 0.0) -> list[int]:
    """Return the masked frames of each round: `cos(pi t / 2)` of them at time t, from `start` (0: all) to one at 1."""
    times = np.linspace(start, 1, steps) if steps > 1 else np.full(1, start)
    return [int(max(1, np.floor(np.cos(np.pi * time / 2) * num_frames + 1e-9))) for time in times]


@dataclass(slots=True)
class _Canvas:
    """One utterance being decoded."""

    utterance: Utterance
    generator: torch.Generator
    codes: Tensor  # [T], without the prefix
    scores: Tensor  # [T], confidence of each; infinite where it is settled
    counts: list[int]

    def masked(self, step: int) -> Tensor:
        """Return the mask [T] of this round: the least certain frames."""
        mask = torch.zeros(len(self.codes), dtype=torch.bool)
        mask[self.scores.argsort(stable=True)[: self.counts[step]]] = True
        return mask

    def fill(self, logits: Tensor, mask: Tensor, step: int) -> None:
        """Draw the masked frames from logits [T, V] and score the frames that may be masked again."""
        options, last = self.utterance.options, len(self.counts) - 1
        # Hot in the first rounds, where few frames are settled, and an argmax in the last.
        remaining = 1 - step / last if last else 0.0
        # The logits have no stop, which may be among the suppressed codes: the length is given.
        allowed = suppress(logits, [code for code in options.suppressed_codes if code != logits.shape[-1]])
        likely = keep_likely(
            allowed, top_sigma=options.top_sigma, top_k=options.top_k, top_p=options.top_p, min_p=options.min_p
        )
        drawn = draw(likely, options.temperature * remaining, self.generator)
        self.codes = torch.where(mask, drawn, self.codes)
        scores = _score(logits, self.codes, options.masked, self.generator)
        settled = torch.full_like(scores, float("inf"))
        self.scores = scores if options.masked.remask else torch.where(mask, scores, settled)


def _score(logits: Tensor, codes: Tensor, options: MaskedOptions, generator: torch.Generator) -> Tensor:
    """Compute the confidence of each frame [T] from logits before any filter."""
    probabilities = logits.softmax(-1)
    match options.score:
        case "likeliest":
            return probabilities.amax(-1)
        case "drawn":
            return probabilities.gather(1, codes[:, None])[:, 0]
        case "entropy":
            return (probabilities * probabilities.clamp(min=1e-12).log()).sum(-1)
        case "random":
            return torch.rand(len(codes), generator=generator)


@torch.inference_mode()
def decode_masked(
    model: ValleModel, utterances: Sequence[Utterance], lengths: Sequence[int], begun: Sequence[Codes]
) -> list[Decoded]:
    """Decode codebook 0 of several utterances at their lengths in frames: codes [1, T] in their order.

    `begun` are frames [1, n] of each that are decoded already; the masked ones follow them.
    """
    left = [length - codes.shape[1] for length, codes in zip(lengths, begun, strict=True)]
    open_rows = [index for index, length in enumerate(left) if length > 0]
    followed = [_followed(utterances[index], begun[index]) for index in open_rows]
    masked = iter(_decode_masked(model, followed, [left[index] for index in open_rows]))
    return [
        Decoded(np.concatenate([codes, next(masked)], axis=1) if length > 0 else codes, is_complete=True)
        for codes, length in zip(begun, left, strict=True)
    ]


def _followed(utterance: Utterance, codes: Codes) -> Utterance:
    """Return the utterance with codes [1, n] at the end of its prefix; masked rows read codebook 0 of it alone."""
    prefix = utterance.condition.prefix
    added = np.zeros((len(prefix), codes.shape[1]), dtype=prefix.dtype)
    added[:1] = codes
    return replace(utterance, condition=replace(utterance.condition, prefix=np.concatenate([prefix, added], axis=1)))


def _decode_masked(model: ValleModel, utterances: Sequence[Utterance], lengths: Sequence[int]) -> list[Codes]:
    canvases = [_canvas(utterance, length) for utterance, length in zip(utterances, lengths, strict=True)]
    for step in range(max((len(canvas.counts) for canvas in canvases), default=0)):
        active = [(canvas, canvas.masked(step)) for canvas in canvases if step < len(canvas.counts)]
        for (canvas, mask), logits in zip(active, _guided_logits(model, active, step), strict=True):
            canvas.fill(logits, mask, step)
    return [canvas.codes.numpy().astype(np.int16)[None] for canvas in canvases]


def _canvas(utterance: Utterance, length: int) -> _Canvas:
    """Start with everything masked, or with the draft of the utterance and a random part of it masked."""
    generator, options = seeded_generator(utterance.options.seed), utterance.options.masked
    draft = utterance.condition.draft
    if draft is None:
        codes, scores, start = torch.zeros(length, dtype=torch.long), torch.zeros(length), 0.0
    else:
        codes, start = torch.from_numpy(draft.codes[0].astype(np.int64)), draft.skipped
        # No score of the model is known yet: chance decides which frames are drawn first.
        scores = torch.rand(len(codes), generator=generator)
    return _Canvas(utterance, generator, codes, scores, mask_counts(len(codes), options.steps, start))


def _guided_logits(model: ValleModel, pairs: Sequence[tuple[_Canvas, Tensor]], step: int) -> list[Tensor]:
    """Compute logits [T, V] of each utterance and its mask, the prefix left out."""

    def compute(is_guided: bool, group: Sequence[tuple[_Canvas, Tensor]]) -> list[Tensor]:
        conditional = _logits(model, group, is_conditional=True)
        if not is_guided:
            return conditional
        nulls = _logits(model, group, is_conditional=False)
        return [
            guide(logits, null, _strength(canvas, step), canvas.utterance.options.guidance_rescale)
            for logits, null, (canvas, _) in zip(conditional, nulls, group, strict=True)
        ]

    return apply_by_group(pairs, lambda pair: pair[0].utterance.options.guidance != 1, compute)


def _strength(canvas: _Canvas, step: int) -> float:
    """Return the guidance of a round: constant, or from 1 in the first to all of it in the last."""
    options = canvas.utterance.options
    if not options.masked.anneals_guidance:
        return options.guidance
    return 1 + (options.guidance - 1) * step / max(1, options.masked.steps - 1)


def _logits(model: ValleModel, pairs: Sequence[tuple[_Canvas, Tensor]], *, is_conditional: bool) -> list[Tensor]:
    rows = []
    for canvas, mask in pairs:
        condition = canvas.utterance.condition if is_conditional else canvas.utterance.condition.without_text()
        start, end = condition.prefix[0], condition.given_end[0]
        target = np.concatenate([start, canvas.codes.numpy(), end])[None]
        rows.append(condition.row(0, target, np.pad(mask.numpy(), (len(start), len(end)))))
    logits = model(speech_batch(model, pairs[0][0].utterance.condition.task, Mode.NAR_LEN, rows)).float().cpu()
    ends = np.cumsum([row.fields["target"].shape[1] for row in rows])
    spans = logits.tensor_split(torch.from_numpy(ends[:-1]))
    first = [canvas.utterance.condition.num_prefix for canvas, _ in pairs]
    return [span[start : start + len(mask)] for span, start, (_, mask) in zip(spans, first, pairs, strict=True)]
