"""Decode codes from conditions: codebook 0 frame by frame or from masks, then one pass per further codebook.

Models of whole frames decode every codebook in place of codebook 0, and have no further pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Decoded, Utterance
from valle.synthesis.decoding.duration import predict_lengths
from valle.synthesis.decoding.groups import apply_by_group
from valle.synthesis.decoding.masked import decode_masked
from valle.synthesis.decoding.refine import refine
from valle.synthesis.decoding.rest import FrameSpan, decode_rest
from valle.synthesis.decoding.seeds import rest_generator

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.valle import ValleModel
    from valle.synthesis.options import SamplingOptions


@torch.inference_mode()
def decode(model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]) -> list[Decoded]:
    """Decode all codebooks of several utterances, in their order.

    The codes of an utterance do not depend on the others. Errors as `decode_autoregressively`.
    """
    utterances = [Utterance(*pair) for pair in zip(conditions, options, strict=True)]
    return apply_by_group(
        utterances,
        lambda utterance: (utterance.condition.task, utterance.options.decoding, utterance.condition.adapters),
        lambda key, group: _decode_group(model, group, decoding=key[1], adapters=dict(key[2])),
    )


def _refined(model: ValleModel, pairs: Sequence[tuple[Utterance, Decoded]]) -> list[Decoded]:
    return refine(model, [utterance for utterance, _ in pairs], [decoded for _, decoded in pairs])


def _decode_group(
    model: ValleModel, utterances: Sequence[Utterance], *, decoding: str, adapters: Mapping[str, float]
) -> list[Decoded]:
    """Decode utterances of one task, one way of decoding and the same adapters."""
    with model.adapters.using(adapters):
        if decoding == "ar":
            first = decode_autoregressively(model, utterances)
        else:
            first = decode_masked(model, utterances, predict_lengths(model, utterances), _begin(model, utterances))
        first = apply_by_group(
            list(zip(utterances, first, strict=True)),
            lambda pair: pair[0].options.refine,
            lambda is_refined, pairs: _refined(model, pairs) if is_refined else [decoded for _, decoded in pairs],
        )
    spans = [
        FrameSpan(
            utterance,
            utterance.condition.prefix,
            decoded.codes,
            rest_generator(utterance.options.seed),
            after=utterance.condition.given_end,
        )
        for utterance, decoded in zip(utterances, first, strict=True)
    ]
    return [
        Decoded(codes, decoded.is_complete) for codes, decoded in zip(decode_rest(model, spans), first, strict=True)
    ]


def _begin(model: ValleModel, utterances: Sequence[Utterance]) -> list[Codes]:
    """Decode the first frames of each utterance that asks for it: codes [K', n], else [K', 0]."""

    def decode(has_prefix: bool, group: Sequence[Utterance]) -> list[Codes]:
        if not has_prefix:
            return [np.zeros((model.config.codebooks_per_pass, 0), dtype=np.int16) for _ in group]
        shortened = [
            replace(one, options=one.options.model_copy(update={"max_seconds": _longest_beginning(one)}))
            for one in group
        ]
        return [decoded.codes for decoded in decode_autoregressively(model, shortened)]

    return apply_by_group(utterances, lambda one: one.options.masked.prefix_seconds > 0, decode)


def _longest_beginning(utterance: Utterance) -> float:
    """Return the seconds of an utterance that are decoded before the masked frames."""
    return min(utterance.options.masked.prefix_seconds, utterance.options.max_seconds)
