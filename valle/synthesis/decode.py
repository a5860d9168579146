"""From conditions to codes: codebook 0 frame by frame with the cache, then one pass per further codebook."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.codec.base import Codes
from valle.model import Batch, Cache, Mode, Row, ValleModel, make_batch
from valle.synthesis.options import SamplingOptions
from valle.synthesis.samplers.drawing import draw
from valle.synthesis.sampling import SamplingState, sample_frame, start


@dataclass(frozen=True, slots=True)
class Condition:
    """What one utterance is spoken from: phoneme ids, language id, prompt codes [K, P] or None.

    `prefix` [K, n] are frames the target starts with; they are given, not spoken.
    """

    symbol_ids: NDArray[np.int64]
    language_id: int
    prompt: Codes | None
    prefix: Codes


@dataclass(frozen=True, slots=True)
class Decoded:
    """Codes [K, T] without the prefix, and whether they end because the model said so."""

    codes: Codes
    is_complete: bool


@dataclass(slots=True)
class _Voice:
    """One row on its way through the AR: its draws depend on nothing but its own options."""

    options: SamplingOptions
    state: SamplingState
    generator: torch.Generator
    frames: list[int]  # prefix included
    num_prefix: int
    max_frames: int  # without the prefix
    is_complete: bool = False

    def take(self, logits: Tensor, stop: int) -> bool:
        """Sample the next frame; False when the row is over."""
        history = torch.tensor(self.frames, dtype=torch.long)
        code, self.state = sample_frame(logits, history, self.options, self.state, self.generator, stop=stop)
        if code == stop:
            self.is_complete = True
            return False
        self.frames.append(code)
        return len(self.frames) - self.num_prefix < self.max_frames


def _row(condition: Condition, level: int, target: Codes) -> Row:
    return Row(
        symbol_ids=condition.symbol_ids,
        language_id=condition.language_id,
        level=level,
        prompt=None if condition.prompt is None else condition.prompt[: max(level, 1)],
        target=target,
    )


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _device(model: ValleModel) -> torch.device:
    return model.separator.device


def decode_first(
    model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]
) -> list[Decoded]:
    """Codebook 0 of several utterances at once, in their order: codes [1, T] each.

    A row that is over leaves the batch, so the slowest costs only itself.
    """
    rate = model.config.frame_rate
    voices = [
        _Voice(
            options=chosen,
            state=start(chosen),
            generator=_generator(chosen.seed),
            frames=condition.prefix[0].tolist(),
            num_prefix=condition.prefix.shape[1],
            max_frames=max(1, int(chosen.max_seconds * rate)),
        )
        for condition, chosen in zip(conditions, options, strict=True)
    ]
    batch = _batch(model, Mode.AR, [_row(condition, 0, condition.prefix[:1]) for condition in conditions])
    # Room for the usual second or two per ten symbols; longer speech makes the cache grow.
    cache = Cache(model.config.depth, capacity=batch.positions.shape[1] + 128)
    logits = model.prefill(batch, cache)
    going = list(range(len(voices)))
    while True:
        rows = logits.float().cpu()
        kept = [place for place, voice in enumerate(going) if voices[voice].take(rows[place], model.config.stop)]
        if not kept:
            break
        if len(kept) < len(going):
            cache.keep(torch.tensor(kept, device=logits.device))
            going = [going[place] for place in kept]
        codes = torch.tensor([voices[voice].frames[-1] for voice in going], device=logits.device)
        frames = torch.tensor([len(voices[voice].frames) - 1 for voice in going], device=logits.device)
        logits = model.step(codes, frames, cache)
    return [
        Decoded(np.array([voice.frames[voice.num_prefix :]], dtype=np.int16), voice.is_complete) for voice in voices
    ]


def decode_rest(
    model: ValleModel,
    conditions: Sequence[Condition],
    first: Sequence[Decoded],
    options: Sequence[SamplingOptions],
) -> list[Decoded]:
    """Codebooks 1 and up, given codebook 0: codes [K, T] each. Utterances without a frame stay empty."""
    levels = model.config.num_codebooks
    targets = [
        np.concatenate([condition.prefix[:1], decoded.codes], axis=1)
        for condition, decoded in zip(conditions, first, strict=True)
    ]
    spoken = [index for index, decoded in enumerate(first) if decoded.codes.shape[1]]
    generators = [_generator(chosen.seed + 1) for chosen in options]
    for level in range(1, levels if spoken else 1):
        batch = _batch(model, Mode.NAR, [_row(conditions[index], level, targets[index]) for index in spoken])
        logits = model(batch).float().cpu()
        ends = np.cumsum([targets[index].shape[1] for index in spoken])
        for index, part in zip(spoken, logits.tensor_split(torch.from_numpy(ends[:-1])), strict=True):
            codes = draw(part, options[index].nar_temperature, generators[index]).numpy().astype(np.int16)
            known = conditions[index].prefix[level : level + 1]
            codes[: known.shape[1]] = known[0]
            targets[index] = np.concatenate([targets[index], codes[None]])
    return [
        Decoded(_full(target, levels)[:, condition.prefix.shape[1] :], decoded.is_complete)
        for target, condition, decoded in zip(targets, conditions, first, strict=True)
    ]


def _full(codes: Codes, levels: int) -> Codes:
    """Codes with all their codebooks, which an utterance without a frame was never given."""
    return codes if len(codes) == levels else np.zeros((levels, codes.shape[1]), dtype=np.int16)


def _batch(model: ValleModel, mode: Mode, rows: Sequence[Row]) -> Batch:
    return make_batch(mode, rows, stop=model.config.stop, text_stride=model.config.text_stride).to(_device(model))


@torch.inference_mode()
def decode(model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]) -> list[Decoded]:
    """All codebooks of several utterances, in their order."""
    return decode_rest(model, conditions, decode_first(model, conditions, options), options)
