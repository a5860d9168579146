"""From the logits of a frame to its code: every sampler, in the order of `docs/sampling.md`."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from valle.synthesis.options import SamplingOptions
from valle.synthesis.samplers.adaptive import Knobs, adapt, uncertainty
from valle.synthesis.samplers.drawing import likeliest_of
from valle.synthesis.samplers.dry import penalize_continuation
from valle.synthesis.samplers.filters import ban, keep_likely
from valle.synthesis.samplers.mirostat import MirostatState, draw_mirostat, start_mirostat
from valle.synthesis.samplers.penalties import penalize_length, penalize_repetition
from valle.synthesis.samplers.repetition_aware import redraw_repetition
from valle.synthesis.samplers.temperature import dynamic_temperature, temper


@dataclass(frozen=True, slots=True)
class SamplingState:
    """What an utterance carries from one frame to the next; each has its own."""

    mirostat: MirostatState | None


def start(options: SamplingOptions) -> SamplingState:
    """The state before the first frame."""
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
    """The next id of codebook 0 from logits [V], given the codes before it [n], and the state for the frame after it.

    `stop` is the id of the end. Errors as `ban`.
    Beam search is not done here: it takes the logits of `penalize`.
    """
    logits = penalize(logits, history, options=options, stop=stop)
    knobs = _knobs(logits, options)
    if knobs.temperature == 0:
        return int(logits.argmax()), state
    # Filters see the tempered distribution, so that top_p means the share that is really drawn from.
    tempered = temper(logits, knobs.temperature)
    kept = keep_likely(tempered, top_sigma=options.top_sigma, top_k=knobs.top_k, top_p=knobs.top_p, min_p=knobs.min_p)
    if state.mirostat is not None:
        code, mirostat = draw_mirostat(kept, state.mirostat, options=options.mirostat, generator=generator)
        return code, replace(state, mirostat=mirostat)
    code = likeliest_of(kept, knobs.num_candidates, generator)
    code = redraw_repetition(code, history, tempered, options=options.repetition_aware, generator=generator)
    return code, state


def penalize(logits: Tensor, history: Tensor, *, options: SamplingOptions, stop: int) -> Tensor:
    """Logits [V] without the banned ids and after every penalty, given the codes before [n]."""
    logits = ban(logits.float(), options.banned)
    recent = history[-options.repetition_window :]
    logits = penalize_repetition(logits, recent, options.repetition_penalty, decay=options.repetition_decay)
    logits = penalize_length(logits, stop, len(history), options.length_penalty)
    return penalize_continuation(logits, history, options.dry)


def _knobs(logits: Tensor, options: SamplingOptions) -> Knobs:
    temperature = options.temperature
    if options.min_temperature is not None:
        temperature = dynamic_temperature(logits, temperature, options.min_temperature)
    knobs = Knobs(temperature, options.top_k, options.top_p, options.min_p)
    if options.adaptive.enabled and temperature > 0:
        return adapt(uncertainty(logits), knobs, options.adaptive)
    return knobs
