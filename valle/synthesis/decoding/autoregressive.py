"""Codebook 0 frame by frame, with the cache: by draws, several utterances at once, or by beam search."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from valle.model.cache import Cache
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition, Decoded, seeded, speech_batch
from valle.synthesis.decoding.duration import average_frames
from valle.synthesis.decoding.guidance import guide
from valle.synthesis.options import SamplingOptions
from valle.synthesis.samplers import beam
from valle.synthesis.sampling import SamplingState, penalize, sample_frame, start
from valle.tasks.tts import TTS
from warehouse.errors import ConfigurationError

_LAYOUT = TTS.layout(Mode.AR)
_ROOM = 128
"""Frames the cache has room for at first: a second or two; longer speech makes it grow."""


@dataclass(slots=True)
class _Voice:
    """One utterance on its way: its draws depend on nothing but its own options."""

    options: SamplingOptions
    state: SamplingState
    generator: torch.Generator
    frames: list[int]  # prefix included
    num_prefix: int
    min_frames: int  # without the prefix, as the next
    max_frames: int
    is_complete: bool = False

    def take(self, logits: Tensor, stop: int) -> bool:
        """Sample what is missing of the next group from its logits [group, V]; False when the utterance is over."""
        # The prefix may end within a group, whose first frames are then known.
        for frame in logits[len(self.frames) % len(logits) :]:
            history = torch.tensor(self.frames, dtype=torch.long)
            if len(self.frames) - self.num_prefix < self.min_frames:
                frame = _endless(frame, stop)
            chosen, self.state = sample_frame(frame, history, self.options, self.state, self.generator, stop=stop)
            if chosen == stop:
                self.is_complete = True
                return False
            self.frames.append(chosen)
            if len(self.frames) - self.num_prefix >= self.max_frames:
                return False
        return True


class _Rows:
    """The cached rows of several utterances, doubled by unconditional ones where an utterance is guided."""

    def __init__(self, model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]) -> None:
        self._model = model
        self._options = list(options)
        self._is_guided = any(one.guidance != 1 for one in options)
        everything = [*conditions, *(one.without_text() for one in conditions)] if self._is_guided else conditions
        batch = speech_batch(model, Mode.AR, [one.row(0, one.prefix[:1]) for one in everything])
        self._cache = Cache(model.config.depth, capacity=batch.positions.shape[1] + _ROOM)
        self.logits = self._guided(model.prefill(batch, self._cache))  # [rows, group, V]

    def _guided(self, logits: Tensor) -> Tensor:
        logits = logits.float()
        if not self._is_guided:
            return logits
        pairs = zip(*logits.chunk(2), self._options, strict=True)
        return torch.stack([guide(one, null, own.guidance, own.guidance_rescale) for one, null, own in pairs])

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in this order; a row may be kept more than once."""
        doubled = [*rows, *(len(self._options) + row for row in rows)] if self._is_guided else rows
        self._cache.keep(torch.tensor(doubled, device=self.logits.device))
        self._options = [self._options[row] for row in rows]

    def step(self, groups: Tensor, places: Tensor) -> None:
        """Feed the next group of codes [rows, group], each number `places` [rows] of its target."""
        copies = 2 if self._is_guided else 1
        device = self.logits.device
        codes, places = groups.to(device).repeat(copies, 1), places.to(device).repeat(copies)
        self.logits = self._guided(self._model.step(_LAYOUT, codes, places, self._cache))


def _endless(logits: Tensor, stop: int) -> Tensor:
    """Logits [..., V] that leave no chance of an end."""
    return logits.index_fill(-1, torch.tensor(stop), -torch.inf)


def _min_frames(model: ValleModel, condition: Condition, options: SamplingOptions) -> int:
    """Frames after the prefix before which there is no end."""
    return round(options.shortest * average_frames(model, condition)) - condition.num_said


def _max_frames(model: ValleModel, options: SamplingOptions) -> int:
    return max(1, int(options.max_seconds * model.config.frame_rate))


@torch.inference_mode()
def decode_autoregressively(
    model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]
) -> list[Decoded]:
    """Codebook 0 of several utterances, in their order: codes [1, T] each.

    A row that is over leaves the batch, so the slowest costs only itself. Utterances with beams are searched one by
    one. Raises ConfigurationError for beams over groups of frames.
    """
    searched = [index for index, one in enumerate(options) if one.beam.width]
    drawn = [index for index in range(len(options)) if index not in set(searched)]
    found = dict(zip(drawn, _draw(model, [conditions[i] for i in drawn], [options[i] for i in drawn]), strict=True))
    found |= {index: _search(model, conditions[index], options[index]) for index in searched}
    return [found[index] for index in range(len(options))]


def _draw(model: ValleModel, conditions: Sequence[Condition], options: Sequence[SamplingOptions]) -> list[Decoded]:
    if not conditions:
        return []
    voices = [
        _Voice(
            options=own,
            state=start(own),
            generator=seeded(own.seed),
            frames=condition.prefix[0].tolist(),
            num_prefix=condition.num_prefix,
            min_frames=_min_frames(model, condition, own),
            max_frames=_max_frames(model, own),
        )
        for condition, own in zip(conditions, options, strict=True)
    ]
    group, stop = model.config.group, model.config.stop
    rows = _Rows(model, conditions, options)
    going = list(range(len(voices)))
    while True:
        logits = rows.logits.cpu()
        kept = [place for place, voice in enumerate(going) if voices[voice].take(logits[place], stop)]
        if not kept:
            break
        if len(kept) < len(going):
            rows.keep(kept)
            going = [going[place] for place in kept]
        groups = torch.tensor([voices[voice].frames[-group:] for voice in going])
        rows.step(groups, torch.tensor([len(voices[voice].frames) // group - 1 for voice in going]))
    return [
        Decoded(np.array([voice.frames[voice.num_prefix :]], dtype=np.int16), voice.is_complete) for voice in voices
    ]


def _search(model: ValleModel, condition: Condition, options: SamplingOptions) -> Decoded:
    """The likeliest codes by beam search, after the penalties of the options."""
    if model.config.group > 1:
        raise ConfigurationError("Beam search needs a model that predicts one frame a step; set beam.width to 0.")
    stop, first = model.config.stop, condition.num_prefix
    min_frames = _min_frames(model, condition, options)
    beams = beam.start_beams(torch.from_numpy(condition.prefix[0].astype(np.int64)), options.beam)
    rows = _Rows(model, [condition], [options])
    while True:
        logits = rows.logits[:, 0].cpu()
        if beams.histories.shape[1] - first < min_frames:
            logits = _endless(logits, stop)
        penalized = [
            penalize(row, history, options=options, stop=stop)
            for row, history in zip(logits, beams.histories, strict=True)
        ]
        beams, parents = beam.step(beams, torch.stack(penalized), stop)
        if beam.is_over(beams, first + _max_frames(model, options)):
            break
        rows.keep(parents.tolist())
        places = torch.full((len(parents),), beams.histories.shape[1] - 1)
        rows.step(beams.histories[:, -1:], places)
    found = beam.best(beams)
    return Decoded(found.codes[first:].numpy().astype(np.int16)[None], found.is_complete)
