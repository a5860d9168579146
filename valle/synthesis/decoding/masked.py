"""Decode codebook 0, or whole frames, from masks (NAR-len) in rounds, each of which keeps the most certain frames.

A frame is masked in all of its codebooks or in none, as in training. MaskGIT (Chang et al., arXiv 2202.04200) with the
cosine schedule, as in MaskGCT (Wang et al., arXiv 2409.00750).
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
from valle.synthesis.decoding.guidance import guide_frames, is_guided
from valle.synthesis.decoding.seeds import rest_generator, seeded_generator
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
    rest_generator: torch.Generator  # of the codebooks after codebook 0 in whole frames
    codes: Tensor  # [T, K'], without the prefix
    scores: Tensor  # [T], confidence of each; infinite where it is settled
    counts: list[int]

    def masked(self, step: int) -> Tensor:
        """Return the mask [T] of this round: the least certain frames."""
        mask = torch.zeros(len(self.codes), dtype=torch.bool)
        mask[self.scores.argsort(stable=True)[: self.counts[step]]] = True
        return mask

    def fill(self, logits: Tensor, mask: Tensor, step: int) -> None:
        """Draw the masked frames from logits [T, K', V] and score the frames that may be masked again."""
        drawn = torch.cat([self._draw_first(logits[:, 0], step)[:, None], self._draw_rest(logits[:, 1:])], 1)
        self.codes = torch.where(mask[:, None], drawn, self.codes)
        scores = _score(logits, self.codes, self.utterance.options.masked, self.generator)
        settled = torch.full_like(scores, float("inf"))
        self.scores = scores if self.utterance.options.masked.remask else torch.where(mask, scores, settled)

    def _draw_first(self, logits: Tensor, step: int) -> Tensor:
        """Draw codebook 0 of each frame [T] from its logits [T, V]."""
        options, last = self.utterance.options, len(self.counts) - 1
        # Hot in the first rounds, where few frames are settled, and an argmax in the last.
        remaining = 1 - step / last if last else 0.0
        # The logits have no stop, which may be among the suppressed codes: the length is given.
        allowed = suppress(logits, [code for code in options.suppressed_codes if code != logits.shape[-1]])
        likely = keep_likely(
            allowed, top_sigma=options.top_sigma, top_k=options.top_k, top_p=options.top_p, min_p=options.min_p
        )
        return draw(likely, options.temperature * remaining, self.generator)

    def _draw_rest(self, logits: Tensor) -> Tensor:
        """Draw the codebooks after codebook 0 of each frame, [T, K' - 1], from their logits."""
        temperature = self.utterance.options.nar_temperature
        return draw(logits.flatten(0, 1), temperature, self.rest_generator).view(logits.shape[:2])


def _score(logits: Tensor, codes: Tensor, options: MaskedOptions, generator: torch.Generator) -> Tensor:
    """Compute the confidence of each frame [T], the mean of its codebooks, from logits before any filter."""
    probabilities = logits.softmax(-1)
    match options.score:
        case "likeliest":
            return probabilities.amax(-1).mean(1)
        case "drawn":
            return probabilities.gather(2, codes[..., None])[..., 0].mean(1)
        case "entropy":
            return (probabilities * probabilities.clamp(min=1e-12).log()).sum(-1).mean(1)
        case "random":
            return torch.rand(len(codes), generator=generator)


@torch.inference_mode()
def decode_masked(
    model: ValleModel, utterances: Sequence[Utterance], lengths: Sequence[int], begun: Sequence[Codes]
) -> list[Decoded]:
    """Decode codebook 0, or whole frames, of several utterances at their lengths: codes [K', T] in their order.

    `begun` are frames [K', n] of each that are decoded already; the masked ones follow them.
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
    """Return the utterance with codes [K', n] at the end of its prefix; masked rows read no further codebook of it."""
    prefix = utterance.condition.prefix
    added = np.zeros((len(prefix), codes.shape[1]), dtype=prefix.dtype)
    added[: len(codes)] = codes
    return replace(utterance, condition=replace(utterance.condition, prefix=np.concatenate([prefix, added], axis=1)))


def _decode_masked(model: ValleModel, utterances: Sequence[Utterance], lengths: Sequence[int]) -> list[Codes]:
    codebooks = model.config.codebooks_per_pass
    canvases = [_canvas(utterance, length, codebooks) for utterance, length in zip(utterances, lengths, strict=True)]
    for step in range(max((len(canvas.counts) for canvas in canvases), default=0)):
        active = [(canvas, canvas.masked(step)) for canvas in canvases if step < len(canvas.counts)]
        for (canvas, mask), logits in zip(active, _guided_logits(model, active, step), strict=True):
            canvas.fill(logits, mask, step)
    return [canvas.codes.numpy().astype(np.int16).T for canvas in canvases]


def _canvas(utterance: Utterance, length: int, codebooks: int) -> _Canvas:
    """Start with everything masked, or with the draft of the utterance and a random part of it masked."""
    generator, options = seeded_generator(utterance.options.seed), utterance.options.masked
    draft = utterance.condition.draft
    if draft is None:
        codes, scores, start = torch.zeros(length, codebooks, dtype=torch.long), torch.zeros(length), 0.0
    else:
        codes, start = torch.from_numpy(draft.codes[:codebooks].T.astype(np.int64)), draft.skipped
        # No score of the model is known yet: chance decides which frames are drawn first.
        scores = torch.rand(len(codes), generator=generator)
    counts = mask_counts(len(codes), options.steps, start)
    return _Canvas(utterance, generator, rest_generator(utterance.options.seed), codes, scores, counts)


def _guided_logits(model: ValleModel, pairs: Sequence[tuple[_Canvas, Tensor]], step: int) -> list[Tensor]:
    """Compute logits [T, K', V] of each utterance and its mask, the prefix left out."""
    codebooks = model.config.codebooks_per_pass

    def compute(has_guidance: bool, group: Sequence[tuple[_Canvas, Tensor]]) -> list[Tensor]:
        conditional = _logits(model, group, is_conditional=True)
        if not has_guidance:
            return conditional
        nulls = _logits(model, group, is_conditional=False)
        return [
            guide_frames(logits, null, canvas.utterance.options, _strength(canvas, step), codebooks)
            for logits, null, (canvas, _) in zip(conditional, nulls, group, strict=True)
        ]

    return apply_by_group(pairs, lambda pair: is_guided(pair[0].utterance.options, codebooks), compute)


def _strength(canvas: _Canvas, step: int) -> float:
    """Return the guidance of codebook 0 in a round: constant, or from 1 in the first to all of it in the last."""
    options = canvas.utterance.options
    if not options.masked.anneals_guidance:
        return options.guidance
    return 1 + (options.guidance - 1) * step / max(1, options.masked.steps - 1)


def _logits(model: ValleModel, pairs: Sequence[tuple[_Canvas, Tensor]], *, is_conditional: bool) -> list[Tensor]:
    codebooks, rows = model.config.codebooks_per_pass, []
    for canvas, mask in pairs:
        condition = canvas.utterance.condition if is_conditional else canvas.utterance.condition.without_text()
        start, end = condition.prefix[:codebooks], condition.given_end[:codebooks]
        target = np.concatenate([start, canvas.codes.numpy().T, end], axis=1)
        rows.append(condition.row(0, target, np.pad(mask.numpy(), (start.shape[1], end.shape[1]))))
    logits = model(speech_batch(model, pairs[0][0].utterance.condition.task, Mode.NAR_LEN, rows)).float().cpu()
    logits = logits.view(-1, codebooks, logits.shape[-1])
    ends = np.cumsum([row.fields["target"].shape[1] for row in rows])
    spans = logits.tensor_split(torch.from_numpy(ends[:-1]))
    first = [canvas.utterance.condition.num_prefix for canvas, _ in pairs]
    return [span[start : start + len(mask)] for span, start, (_, mask) in zip(spans, first, pairs, strict=True)]
