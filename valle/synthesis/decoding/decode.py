"""From conditions to codes: codebook 0 frame by frame or from masks, then one pass per further codebook."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from valle.codec.base import Codes
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Decoded, seeded, speech_batch
from valle.synthesis.decoding.duration import predict_lengths
from valle.synthesis.decoding.guidance import guide
from valle.synthesis.decoding.masked import decode_masked
from valle.synthesis.options import SamplingOptions
from valle.synthesis.samplers.drawing import draw


@torch.inference_mode()
def decode(model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]) -> list[Decoded]:
    """All codebooks of several utterances, in their order.

    Each is what it would be alone. Errors as `decode_autoregressively`.
    """
    found: dict[int, Decoded] = {}
    for task in {condition.task for condition in conditions}:
        chosen = [index for index, condition in enumerate(conditions) if condition.task is task]
        own = [conditions[index] for index in chosen], [options[index] for index in chosen]
        decoded = _decode_rest(model, own[0], _decode_first(model, *own), own[1])
        found |= dict(zip(chosen, decoded, strict=True))
    return [found[index] for index in range(len(conditions))]


def _decode_first(
    model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]
) -> list[Decoded]:
    """Codebook 0 of several utterances, each decoded as its options say: codes [1, T], in their order."""
    found: dict[int, Decoded] = {}
    by_mode = {mode: [index for index, own in enumerate(options) if own.decoding == mode] for mode in ("ar", "nar-len")}
    for mode, chosen in by_mode.items():
        own = [conditions[index] for index in chosen], [options[index] for index in chosen]
        if mode == "ar":
            decoded = decode_autoregressively(model, *own)
        else:
            decoded = decode_masked(model, own[0], predict_lengths(model, *own), own[1])
        found |= dict(zip(chosen, decoded, strict=True))
    return [found[index] for index in range(len(options))]


def _decode_rest(
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
    generators = [seeded(own.seed + 1) for own in options]
    for level in range(1, levels if spoken else 1):
        own = [targets[index] for index in spoken], [options[index] for index in spoken]
        logits = _guided_logits(model, [conditions[index] for index in spoken], *own, level=level)
        for index, part in zip(spoken, logits, strict=True):
            codes = draw(part, options[index].nar_temperature, generators[index]).numpy().astype(np.int16)
            known = conditions[index].prefix[level : level + 1]
            codes[: known.shape[1]] = known[0]
            targets[index] = np.concatenate([targets[index], codes[None]])
    return [
        Decoded(_full(target, levels)[:, condition.num_prefix :], decoded.is_complete)
        for target, condition, decoded in zip(targets, conditions, first, strict=True)
    ]


def _guided_logits(
    model: ValleModel,
    conditions: Sequence[Condition],
    targets: Sequence[Codes],
    options: Sequence[SamplingOptions],
    *,
    level: int,
) -> list[Tensor]:
    """Logits [T, V] of one level of each utterance, given the codebooks below, [level, T]."""
    plain = _logits(model, conditions, targets, level=level)
    guided = [place for place, own in enumerate(options) if own.nar_guidance != 1]
    if guided:
        nothing = [conditions[place].without_text() for place in guided]
        nulls = _logits(model, nothing, [targets[place] for place in guided], level=level)
        for place, null in zip(guided, nulls, strict=True):
            own = options[place]
            plain[place] = guide(plain[place], null, own.nar_guidance, own.guidance_rescale)
    return plain


def _logits(
    model: ValleModel, conditions: Sequence[Condition], targets: Sequence[Codes], *, level: int
) -> list[Tensor]:
    rows = [condition.row(level, target) for condition, target in zip(conditions, targets, strict=True)]
    logits = model(speech_batch(model, Mode.NAR, rows)).float().cpu()
    ends = np.cumsum([target.shape[1] for target in targets])
    return list(logits.tensor_split(torch.from_numpy(ends[:-1])))


def _full(codes: Codes, levels: int) -> Codes:
    """Codes with all their codebooks, which an utterance without a frame was never given."""
    return codes if len(codes) == levels else np.zeros((levels, codes.shape[1]), dtype=np.int16)
