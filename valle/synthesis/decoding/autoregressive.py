"""Decode codebook 0, or whole frames, frame by frame with the cache: by draws, in a batch, or by beam search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from valle.model.layout import Mode
from valle.synthesis.decoding.conditions import Condition, Decoded, Utterance, speech_batch
from valle.synthesis.decoding.groups import apply_by_group
from valle.synthesis.decoding.guidance import guide_frames, is_guided
from valle.synthesis.decoding.seeds import draw_seed, rest_generator, seeded_generator
from valle.synthesis.samplers import beam
from valle.synthesis.samplers.draws import draw
from valle.synthesis.sampling import SamplingState, penalize, sample_frame, start
from valle.tasks.tts import TTS
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.valle import ValleModel
    from valle.synthesis.options import SamplingOptions

_LAYOUT = TTS.layout(Mode.AR)
# Frames of the cache at first; it grows for longer speech.
_INITIAL_FRAMES = 128


# Guided or not, and adapters with their strengths: what utterances of one batch have in common.
_Lane = tuple[bool, tuple[tuple[str, float], ...]]


@dataclass(slots=True, eq=False)
class ActiveUtterance:
    """One utterance being decoded; its draws depend on its own options only.

    `codes` has a list per codebook that a pass predicts, the prefix included.
    """

    options: SamplingOptions
    state: SamplingState
    generator: torch.Generator
    rest_generator: torch.Generator
    """Of the codebooks after codebook 0 in whole frames."""
    codes: list[list[int]]
    num_prefix: int
    min_frames: int  # without the prefix
    max_frames: int  # without the prefix
    log_probability: float = 0.0
    """Of the draws of codebook 0, without guidance and temperature; only where `options.likeliest_of` asks for it."""
    is_complete: bool = False
    is_over: bool = False
    """True if no frame follows; setting it removes the utterance from its batch."""

    @property
    def num_frames(self) -> int:
        """Return the frames so far, the prefix included."""
        return len(self.codes[0])

    def last_group(self, group: int) -> list[int]:
        """Return the codes of the last `group` frames: frame by frame, the codebooks of each in order."""
        return [code for frame in zip(*(codes[-group:] for codes in self.codes), strict=True) for code in frame]

    def frames(self, start: int) -> Codes:
        """Return the codes from frame `start` on, [K', T]."""
        return np.array([codes[start:] for codes in self.codes], dtype=np.int16)

    @property
    def likelihood(self) -> tuple[bool, float]:
        """Return what orders draws of one utterance: those that ended by themselves first, then the likelier."""
        num_draws = self.num_frames - self.num_prefix + self.is_complete
        return self.is_complete, self.log_probability / max(1, num_draws)

    def sample(self, logits: Tensor, plain: Tensor, guesses: Sequence[list[int]], stop: int) -> int:
        """Sample groups from logits [n, group, V] as long as the guess of each was right; return how many were used.

        The logits after the first are those after each guess. So the frames, and the random numbers they need, are
        those of decoding without guesses. `plain` are the logits without guidance.
        """
        group = logits.shape[1] // len(self.codes)
        for used, (group_logits, group_plain) in enumerate(zip(logits, plain, strict=True), 1):
            self.sample_group(group_logits, group_plain, stop)
            if self.is_over or used > len(guesses) or self.last_group(group) != guesses[used - 1]:
                return used
        return len(logits)

    def sample_group(self, logits: Tensor, plain: Tensor, stop: int) -> None:
        """Sample the missing frames of the next group from its logits: those of K' codebooks of each, one by one."""
        frames = logits.view(-1, len(self.codes), logits.shape[-1])
        # The prefix may end within a group, whose first frames are then known.
        first = self.num_frames % len(frames)
        for frame_logits, frame_plain in zip(frames[first:], plain.view_as(frames)[first:], strict=True):
            self._sample_frame(frame_logits, frame_plain[0], stop)
            if self.is_over:
                return

    def _sample_frame(self, logits: Tensor, plain: Tensor, stop: int) -> None:
        """Sample a frame from the logits [K', V] of its codebooks, of which the first decides whether speech ends."""
        first, history = logits[0], torch.tensor(self.codes[0], dtype=torch.long)
        if self.num_frames - self.num_prefix < self.min_frames:
            first = _without_stop(first, stop)
        chosen, self.state = sample_frame(first, history, self.options, self.state, self.generator, stop=stop)
        if self.options.likeliest_of > 1:
            self.log_probability += float(plain.log_softmax(-1)[chosen])
        if chosen == stop:
            self.is_complete = self.is_over = True
            return
        rest = draw(logits[1:, :stop], self.options.nar_temperature, self.rest_generator)
        for codes, code in zip(self.codes, [chosen, *rest.tolist()], strict=True):
            codes.append(code)
        self.is_over = self.num_frames - self.num_prefix >= self.max_frames


class _CachedRows:
    """Cached rows of several utterances, followed by as many unconditional rows if any utterance is guided."""

    def __init__(self, model: ValleModel, utterances: Sequence[Utterance]) -> None:
        self._model = model
        self._options = [utterance.options for utterance in utterances]
        self._codebooks = model.config.codebooks_per_pass
        self._is_guided = any(is_guided(options, self._codebooks) for options in self._options)
        conditions = [utterance.condition for utterance in utterances]
        # In one batch with the conditional rows: two forwards of half the size cost more.
        if self._is_guided:
            conditions += [condition.without_text() for condition in conditions]
        given = [condition.row(0, condition.prefix) for condition in conditions]
        batch = speech_batch(model, conditions[0].task, Mode.AR, given)
        self._cache = model.new_cache(batch.positions.shape[1] + _INITIAL_FRAMES)
        self._hidden = model.read(batch, self._cache)[:, None]  # of the groups that were fed, [cached rows, n, width]
        self._fed = torch.ones(len(self._hidden), dtype=torch.long, device=self._hidden.device)
        self.guesses: list[list[list[int]]] = [[] for _ in utterances]
        """Groups that were fed after the last drawn one: by row and guess, codes."""
        self._set_logits()

    def _set_logits(self) -> None:
        """Compute the logits after the fed groups [rows, n, group, V], with guidance and without."""
        logits = self._model.group_logits(_LAYOUT, self._hidden)
        self.plain = logits[: len(self._options)].float()
        self.logits = self._guided(logits)

    def _guided(self, logits: Tensor) -> Tensor:
        logits = logits.float()
        if not self._is_guided:
            return logits
        pairs = zip(*logits.chunk(2), self._options, strict=True)
        return torch.stack(
            [guide_frames(plain, null, one, one.guidance, self._codebooks) for plain, null, one in pairs]
        )

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows only, in this order; a row may be repeated."""
        doubled = [*rows, *(len(self._options) + row for row in rows)] if self._is_guided else rows
        chosen = torch.tensor(doubled, device=self.logits.device)
        self._cache.keep(chosen)
        self._hidden, self._fed = self._hidden[chosen], self._fed[chosen]
        self.guesses = [self.guesses[row] for row in rows]
        self._options = [self._options[row] for row in rows]

    def join(self, other: _CachedRows) -> None:
        """Append rows that are guided, or not, as these are."""
        assert self._is_guided == other._is_guided, "guided rows have unconditional ones"
        first, second = len(self._options), len(other._options)
        self._cache.join(other._cache)
        order = torch.arange((first + second) * (2 if self._is_guided else 1), device=self.logits.device)
        if self._is_guided:  # conditional rows of both, then the unconditional ones
            parts = order.tensor_split([first, 2 * first, 2 * first + second])
            order = torch.cat([parts[0], parts[2], parts[1], parts[3]])
            self._cache.keep(order)
        self._options += other._options
        self._fed = torch.cat([self._fed, other._fed])[order]
        self._hidden = _pad_slots([self._hidden, other._hidden])[order]
        self.logits = _pad_slots([self.logits, other.logits])
        self.plain = _pad_slots([self.plain, other.plain])
        self.guesses += other.guesses

    def take_back(self, used: Tensor) -> None:
        """Keep the first `used` [rows] of the groups that the last step fed to each row, and guess what follows."""
        if self._model.lookahead is None:
            return
        used = self._double(used)
        self._cache.shorten(self._fed - used)
        last = self._hidden[torch.arange(len(used), device=used.device), used - 1]
        logits = self._guided(self._model.guess_logits(_LAYOUT, last))
        self.guesses = logits[..., : self._model.config.stop].argmax(-1).tolist()

    def step(self, groups: Tensor, indices: Tensor) -> None:
        """Feed groups of codes [rows, group], number `indices` [rows] of their targets, and the guesses after them."""
        guesses = torch.tensor(self.guesses, dtype=torch.long)
        fed = torch.cat([groups[:, None], guesses.view(len(groups), len(self.guesses[0]), groups.shape[1])], 1)
        numbers = indices[:, None] + torch.arange(fed.shape[1])
        self._fed = self._fed.new_full((len(self._fed),), fed.shape[1])
        self._hidden = self._model.append(_LAYOUT, self._double(fed), self._double(numbers), self._cache)
        self._set_logits()

    def _double(self, rows: Tensor) -> Tensor:
        """Copy rows to the device of the model, twice when unconditional rows follow."""
        return torch.cat([rows, rows] if self._is_guided else [rows]).to(self.logits.device)


def _pad_slots(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate rows [rows, n, ...] whose n differ; the missing slots, which are never read, are zeros."""
    longest = max(tensor.shape[1] for tensor in tensors)
    padded = [
        torch.cat([tensor, tensor.new_zeros(len(tensor), longest - tensor.shape[1], *tensor.shape[2:])], 1)
        for tensor in tensors
    ]
    return torch.cat(padded)


def _without_stop(logits: Tensor, stop: int) -> Tensor:
    """Remove the stop from logits [..., V]."""
    return logits.index_fill(-1, torch.tensor(stop), -torch.inf)


def _min_frames(model: ValleModel, condition: Condition, options: SamplingOptions) -> int:
    """Return the frames after the prefix that must precede an end."""
    return (
        round(options.min_duration_ratio * condition.average_frames(model.config.average_symbol)) - condition.num_spoken
    )


def _max_frames(model: ValleModel, options: SamplingOptions) -> int:
    return max(1, int(options.max_seconds * model.config.frame_rate))


@torch.inference_mode()
def decode_autoregressively(model: ValleModel, utterances: Sequence[Utterance]) -> list[Decoded]:
    """Decode codebook 0, or whole frames, of several utterances, in their order: codes [K', T] each.

    A finished row leaves the batch, so that the slowest utterance costs only itself. Utterances with beams are decoded
    one by one. Raises ConfigurationError for beams over groups of frames or whole frames.
    """
    return apply_by_group(
        utterances,
        lambda utterance: utterance.options.beam.width > 0,
        lambda has_beams, group: [_search(model, item) for item in group] if has_beams else _draw(model, group),
    )


class FrameBatch:
    """Utterances whose frames are decoded together; more may join at any time, and each leaves when it is over.

    Guided utterances have unconditional rows beside their own, and each set of adapters computes with other weights, so
    they are in batches of their own.
    """

    def __init__(self, model: ValleModel) -> None:
        self._model = model
        self._lanes: dict[_Lane, tuple[_CachedRows, list[ActiveUtterance]]] = {}

    @property
    def is_empty(self) -> bool:
        """Return whether every utterance is over."""
        return not self._lanes

    @torch.inference_mode()
    def add(self, utterances: Sequence[Utterance]) -> list[ActiveUtterance]:
        """Start utterances without beams; return their states, in their order."""
        codebooks = self._model.config.codebooks_per_pass
        return apply_by_group(
            utterances,
            lambda utterance: (
                (is_guided(utterance.options, codebooks), utterance.condition.adapters),
                utterance.condition.task,
            ),
            lambda key, group: self._add(group, key[0]),
        )

    def _add(self, utterances: Sequence[Utterance], lane: _Lane) -> list[ActiveUtterance]:
        with self._model.adapters.using(dict(lane[1])):
            started = [_activate(self._model, utterance) for utterance in utterances]
            rows = _CachedRows(self._model, utterances)
        if lane in self._lanes:
            self._lanes[lane][0].join(rows)
            self._lanes[lane][1].extend(started)
        else:
            self._lanes[lane] = rows, [*started]
        return started

    @torch.inference_mode()
    def step(self) -> None:
        """Sample the next group of frames of every utterance."""
        for lane in list(self._lanes):
            with self._model.adapters.using(dict(lane[1])):
                self._step(lane)

    def _step(self, lane: _Lane) -> None:
        group, stop = self._model.config.group, self._model.config.stop
        rows, active = self._lanes[lane]
        # Sampling is many small operations per row, which a GPU runs slower than a CPU.
        used = [
            0 if utterance.is_over else utterance.sample(logits, plain, guesses, stop)
            for utterance, logits, plain, guesses in zip(
                active, rows.logits.cpu(), rows.plain.cpu(), rows.guesses, strict=True
            )
        ]
        kept = [row for row, utterance in enumerate(active) if not utterance.is_over]
        if not kept:
            del self._lanes[lane]
            return
        if len(kept) < len(active):
            rows.keep(kept)
            active[:] = [active[row] for row in kept]
        rows.take_back(torch.tensor([used[row] for row in kept]))
        groups = torch.tensor([utterance.last_group(group) for utterance in active])
        rows.step(groups, torch.tensor([utterance.num_frames // group - 1 for utterance in active]))


def _draw(model: ValleModel, utterances: Sequence[Utterance]) -> list[Decoded]:
    batch, draws = FrameBatch(model), [_draws_of(utterance) for utterance in utterances]
    states = iter(batch.add([draw for one in draws for draw in one]))
    of_each = [[next(states) for _ in one] for one in draws]
    while not batch.is_empty:
        batch.step()
    chosen = [max(one, key=lambda state: state.likelihood) for one in of_each]
    return [Decoded(state.frames(state.num_prefix), state.is_complete) for state in chosen]


def _draws_of(utterance: Utterance) -> list[Utterance]:
    """Return an utterance as often as it is drawn, with the seed of each; the first is the utterance itself."""
    options = utterance.options
    seeds = [draw_seed(options.seed, index) for index in range(options.likeliest_of)]
    return [replace(utterance, options=options.model_copy(update={"seed": seed})) for seed in seeds]


def _activate(model: ValleModel, utterance: Utterance) -> ActiveUtterance:
    condition, options = utterance.condition, utterance.options
    return ActiveUtterance(
        options=options,
        state=start(options),
        generator=seeded_generator(options.seed),
        rest_generator=rest_generator(options.seed),
        codes=condition.prefix[: model.config.codebooks_per_pass].tolist(),
        num_prefix=condition.prefix.shape[1],
        min_frames=_min_frames(model, condition, options),
        max_frames=_max_frames(model, options),
    )


def _search(model: ValleModel, utterance: Utterance) -> Decoded:
    """Search the likeliest codes with beams, after the penalties of the options."""
    # The frames of a group, or codebooks of a frame, are predicted at once, so beams could not differ within them.
    if model.config.group > 1 or model.config.whole_frames:
        raise ConfigurationError("Beam search needs a model that predicts one code a step; set beam.width to 0.")
    condition, options = utterance.condition, utterance.options
    stop, num_prefix = model.config.stop, condition.prefix.shape[1]
    min_frames = _min_frames(model, condition, options)
    beams = beam.start_beams(torch.from_numpy(condition.prefix[0].astype(np.int64)), options.beam)
    rows = _CachedRows(model, [utterance])
    while True:
        logits = rows.logits[:, 0, 0].cpu()
        if beams.histories.shape[1] - num_prefix < min_frames:
            logits = _without_stop(logits, stop)
        penalized = [
            penalize(row, history, options=options, stop=stop)
            for row, history in zip(logits, beams.histories, strict=True)
        ]
        beams, parents = beam.step(beams, torch.stack(penalized), stop)
        if beam.is_over(beams, num_prefix + _max_frames(model, options)):
            break
        rows.keep(parents.tolist())
        indices = torch.full((len(parents),), beams.histories.shape[1] - 1)
        rows.step(beams.histories[:, -1:], indices)
    best = beam.best(beams)
    return Decoded(best.codes[num_prefix:].numpy().astype(np.int16)[None], best.is_complete)
