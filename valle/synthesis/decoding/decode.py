"""Decode codes from conditions: codebook 0 frame by frame or from masks, then one pass per further codebook."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from valle.codec.base import Codes
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Decoded, Utterance, speech_batch
from valle.synthesis.decoding.duration import predict_lengths
from valle.synthesis.decoding.groups import apply_by_group
from valle.synthesis.decoding.guidance import guide
from valle.synthesis.decoding.masked import decode_masked
from valle.synthesis.decoding.seeds import seeded_generator
from valle.synthesis.options import SamplingOptions
from valle.synthesis.samplers.draws import draw


@torch.inference_mode()
def decode(model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]) -> list[Decoded]:
    """Decode all codebooks of several utterances, in their order.

    The codes of an utterance do not depend on the others. Errors as `decode_autoregressively`.
    """
    utterances = [Utterance(*pair) for pair in zip(conditions, options, strict=True)]
    return apply_by_group(
        utterances,
        lambda utterance: (utterance.condition.task, utterance.options.decoding),
        lambda key, group: _decode_group(model, group, decoding=key[1]),
    )


def _decode_group(model: ValleModel, utterances: Sequence[Utterance], *, decoding: str) -> list[Decoded]:
    """Decode utterances of one task and one way of decoding."""
    if decoding == "ar":
        first = decode_autoregressively(model, utterances)
    else:
        first = decode_masked(model, utterances, predict_lengths(model, utterances))
    return _decode_rest(model, utterances, first)


def _decode_rest(model: ValleModel, utterances: Sequence[Utterance], first: Sequence[Decoded]) -> list[Decoded]:
    """Decode codebooks 1 and up given codebook 0: codes [K, T] each. Utterances without a frame stay empty."""
    num_codebooks = model.config.num_codebooks
    targets = [
        np.concatenate([utterance.condition.prefix[:1], decoded.codes], axis=1)
        for utterance, decoded in zip(utterances, first, strict=True)
    ]
    # A row without a frame has nothing to predict.
    spoken = [index for index, decoded in enumerate(first) if decoded.codes.shape[1]]
    # seed + 1: codebook 0 used the generator of the seed itself.
    generators = [seeded_generator(utterance.options.seed + 1) for utterance in utterances]
    for codebook in range(1, num_codebooks if spoken else 1):
        pairs = [(utterances[index], targets[index]) for index in spoken]
        for index, logits in zip(spoken, _guided_logits(model, pairs, codebook), strict=True):
            utterance = utterances[index]
            codes = draw(logits, utterance.options.nar_temperature, generators[index]).numpy().astype(np.int16)
            # Given frames keep their codes: only the frames after them are new.
            known = utterance.condition.prefix[codebook : codebook + 1]
            codes[: known.shape[1]] = known[0]
            targets[index] = np.concatenate([targets[index], codes[None]])
    return [
        Decoded(_with_all_codebooks(target, num_codebooks)[:, utterance.condition.num_prefix :], decoded.is_complete)
        for target, utterance, decoded in zip(targets, utterances, first, strict=True)
    ]


def _guided_logits(model: ValleModel, pairs: Sequence[tuple[Utterance, Codes]], codebook: int) -> list[Tensor]:
    """Compute logits [T, V] of one codebook of each utterance, given its codebooks below, [codebook, T]."""

    def compute(is_guided: bool, group: Sequence[tuple[Utterance, Codes]]) -> list[Tensor]:
        targets = [target for _, target in group]
        conditional = _logits(model, [utterance.condition for utterance, _ in group], targets, codebook)
        if not is_guided:
            return conditional
        nulls = _logits(model, [utterance.condition.without_text() for utterance, _ in group], targets, codebook)
        return [
            guide(logits, null, utterance.options.nar_guidance, utterance.options.guidance_rescale)
            for logits, null, (utterance, _) in zip(conditional, nulls, group, strict=True)
        ]

    return apply_by_group(pairs, lambda pair: pair[0].options.nar_guidance != 1, compute)


def _logits(
    model: ValleModel, conditions: Sequence[Condition], targets: Sequence[Codes], codebook: int
) -> list[Tensor]:
    rows = [condition.row(codebook, target) for condition, target in zip(conditions, targets, strict=True)]
    logits = model(speech_batch(model, Mode.NAR, rows)).float().cpu()
    ends = np.cumsum([target.shape[1] for target in targets])
    return list(logits.tensor_split(torch.from_numpy(ends[:-1])))


def _with_all_codebooks(codes: Codes, num_codebooks: int) -> Codes:
    """Return codes [K, T]; an utterance without a frame has only codebook 0 until here."""
    return codes if len(codes) == num_codebooks else np.zeros((num_codebooks, codes.shape[1]), dtype=np.int16)
