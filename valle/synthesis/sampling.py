"""Choose the code of a frame from its logits: every sampler, in the order of `docs/sampling.md`."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from valle.synthesis.options import SamplingOptions
from valle.synthesis.samplers.adaptive import DrawParameters, adapt, uncertainty
from valle.synthesis.samplers.draws import (
    draw_likeliest_of,
    dynamic_temperature,
    redraw_repetition,
    scale_by_temperature,
)
from valle.synthesis.samplers.filters import keep_likely, suppress
from valle.synthesis.samplers.mirostat import MirostatState, draw_mirostat, start_mirostat
from valle.synthesis.samplers.penalties import penalize_continuation, penalize_length, penalize_repetition


@dataclass(frozen=True, slots=True)
class SamplingState:
    """State of one utterance between frames."""

    mirostat: MirostatState | None


def start(options: SamplingOptions) -> SamplingState:
    """Return the state before the first frame."""
    return SamplingState(start_mirostat(options.mirostat) if options.mirostat.tau else None)


def sample_frame(
    logits: Tensor,
    history: Tensor,
    options: SamplingOptions,
    state: SamplingState,
    generator: torch.Generator,
    *,
    stop: int,
) -> tuple[int, SamplingState]:
    """Sample the next id of codebook 0 from logits [V], given the codes before it [n]; return it and the next state.

    `stop` is the id of the end. Errors as `suppress`. Beam search does not use this function but `penalize`.
    """
    logits = penalize(logits, history, options=options, stop=stop)
    parameters = _draw_parameters(logits, options)
    if parameters.temperature == 0:
        return int(logits.argmax()), state
    # Filters see the tempered distribution, so that top_p is the probability mass that draws really come from.
    tempered = scale_by_temperature(logits, parameters.temperature)
    kept = keep_likely(
        tempered,
        top_sigma=options.top_sigma,
        top_k=parameters.top_k,
        top_p=parameters.top_p,
        min_p=parameters.min_p,
    )
    if state.mirostat is not None:
        code, mirostat = draw_mirostat(kept, state.mirostat, options=options.mirostat, generator=generator)
        return code, replace(state, mirostat=mirostat)
    code = draw_likeliest_of(kept, parameters.num_candidates, generator)
    code = redraw_repetition(code, history, tempered, options=options.repetition_aware, generator=generator)
    return code, state


def penalize(logits: Tensor, history: Tensor, *, options: SamplingOptions, stop: int) -> Tensor:
    """Remove the suppressed codes from logits [V] and apply every penalty, given the codes before [n]."""
    logits = suppress(logits.float(), options.suppressed_codes)
    recent = history[-options.repetition_window :]
    logits = penalize_repetition(logits, recent, options.repetition_penalty, decay=options.repetition_decay)
    logits = penalize_length(logits, stop, len(history), options.length_penalty)
    return penalize_continuation(logits, history, options.dry)


def _draw_parameters(logits: Tensor, options: SamplingOptions) -> DrawParameters:
    temperature = options.temperature
    if options.min_temperature is not None:
        temperature = dynamic_temperature(logits, temperature, options.min_temperature)
    parameters = DrawParameters(temperature, options.top_k, options.top_p, options.min_p)
    if options.adaptive.enabled and temperature > 0:
        return adapt(uncertainty(logits), parameters, options.adaptive)
    return parameters
