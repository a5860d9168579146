"""NAR-len: codebook 0 all at once, from nothing but masks, in a few rounds that keep what the model is surest of.

MaskGIT (Chang et al., arXiv 2202.04200) with the cosine schedule, as in MaskGCT (Wang et al., arXiv 2409.00750).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition, Decoded, seeded, speech_batch
from valle.synthesis.decoding.guidance import guide
from valle.synthesis.options import MaskedOptions, SamplingOptions
from valle.synthesis.samplers.drawing import draw
from valle.synthesis.samplers.filters import ban, keep_likely


def mask_counts(num_frames: int, steps: int) -> list[int]:
    """Frames that are masked in each round: all in the first, `cos(pi t / 2)` of them at time t, one in the last."""
    times = np.linspace(0, 1, steps) if steps > 1 else np.zeros(1)
    return [int(max(1, np.floor(np.cos(np.pi * time / 2) * num_frames + 1e-9))) for time in times]


@dataclass(slots=True)
class _Canvas:
    """One utterance being filled in."""

    condition: Condition
    options: SamplingOptions
    generator: torch.Generator
    codes: Tensor  # [T], of the frames to speak
    scores: Tensor  # [T], how sure the model is of each; infinite where it is settled
    counts: list[int]

    def masked(self, step: int) -> Tensor:
        """Hide the frames of this round, [T]."""
        hidden = torch.zeros(len(self.codes), dtype=torch.bool)
        hidden[self.scores.argsort(stable=True)[: self.counts[step]]] = True
        return hidden

    def fill(self, logits: Tensor, hidden: Tensor, step: int) -> None:
        """Draw the hidden frames from logits [T, V] and score what may be hidden again."""
        own, last = self.options, len(self.counts) - 1
        remaining = 1 - step / last if last else 0.0
        # There is no stop to ban where the length is given.
        allowed = ban(logits, [code for code in own.banned if code != logits.shape[-1]])
        likely = keep_likely(allowed, top_sigma=own.top_sigma, top_k=own.top_k, top_p=own.top_p, min_p=own.min_p)
        drawn = draw(likely, own.temperature * remaining, self.generator)
        self.codes = torch.where(hidden, drawn, self.codes)
        scores = _score(logits, self.codes, own.masked, self.generator)
        settled = torch.full_like(scores, float("inf"))
        self.scores = scores if own.masked.remask else torch.where(hidden, scores, settled)


def _score(logits: Tensor, codes: Tensor, options: MaskedOptions, generator: torch.Generator) -> Tensor:
    """How sure the model is of each frame [T], from logits before any filter."""
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
    model: ValleModel,
    conditions: Sequence[Condition],
    lengths: Sequence[int],
    options: Sequence[SamplingOptions],
) -> list[Decoded]:
    """Codebook 0 of several utterances, `lengths` frames each: codes [1, T], in their order."""
    canvases = [
        _Canvas(
            condition=condition,
            options=own,
            generator=seeded(own.seed),
            codes=torch.zeros(length, dtype=torch.long),
            scores=torch.zeros(length),
            counts=mask_counts(length, own.masked.steps),
        )
        for condition, length, own in zip(conditions, lengths, options, strict=True)
    ]
    for step in range(max((own.masked.steps for own in options), default=0)):
        going = [canvas for canvas in canvases if step < len(canvas.counts)]
        hidden = [canvas.masked(step) for canvas in going]
        for canvas, mask, logits in zip(going, hidden, _logits(model, going, hidden, step), strict=True):
            canvas.fill(logits, mask, step)
    return [Decoded(canvas.codes.numpy().astype(np.int16)[None], is_complete=True) for canvas in canvases]


def _logits(model: ValleModel, canvases: Sequence[_Canvas], hidden: Sequence[Tensor], step: int) -> list[Tensor]:
    """Guided logits [T, V] of the frames to speak of each utterance."""
    plain = _forward(model, canvases, hidden, is_conditional=True)
    guided = [place for place, canvas in enumerate(canvases) if canvas.options.guidance != 1]
    if guided:
        chosen = [canvases[place] for place in guided], [hidden[place] for place in guided]
        for place, null in zip(guided, _forward(model, *chosen, is_conditional=False), strict=True):
            own = canvases[place].options
            done = step / max(1, own.masked.steps - 1)
            strength = 1 + (own.guidance - 1) * done if own.masked.anneals_guidance else own.guidance
            plain[place] = guide(plain[place], null, strength, own.guidance_rescale)
    return plain


def _forward(
    model: ValleModel, canvases: Sequence[_Canvas], hidden: Sequence[Tensor], *, is_conditional: bool
) -> list[Tensor]:
    rows = []
    for canvas, mask in zip(canvases, hidden, strict=True):
        condition = canvas.condition if is_conditional else canvas.condition.without_text()
        given: NDArray[np.bool_] = np.zeros(condition.num_prefix, dtype=bool)
        target = np.concatenate([condition.prefix[0], canvas.codes.numpy()])[None]
        rows.append(condition.row(0, target, np.concatenate([given, mask.numpy()])))
    logits = model(speech_batch(model, Mode.NAR_LEN, rows)).float().cpu()
    ends = np.cumsum([row.fields["target"].shape[1] for row in rows])
    parts = logits.tensor_split(torch.from_numpy(ends[:-1]))
    return [part[canvas.condition.num_prefix :] for part, canvas in zip(parts, canvases, strict=True)]
