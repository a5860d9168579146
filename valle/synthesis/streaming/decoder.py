"""Decode the codes of several utterances at once, window by window: each window while codebook 0 is still decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from valle.synthesis.decoding.autoregressive import ActiveUtterance, FrameBatch
from valle.synthesis.decoding.conditions import Condition, Utterance
from valle.synthesis.decoding.decode import decode
from valle.synthesis.decoding.groups import apply_by_group
from valle.synthesis.decoding.rest import FrameSpan, decode_rest
from valle.synthesis.decoding.seeds import rest_generator

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.valle import ValleModel
    from valle.synthesis.options import SamplingOptions, StreamOptions


@dataclass(slots=True, eq=False)
class UtteranceStream:
    """The codes of one utterance so far; `num_before` are the frames of its text before it."""

    utterance: Utterance
    options: StreamOptions
    num_before: int
    codes: Codes  # [K, n], the prefix included
    generator: torch.Generator
    active: ActiveUtterance | None = None
    new: list[Codes] = field(default_factory=list)
    is_complete: bool = False
    is_over: bool = False

    def take(self) -> Codes:
        """Return the codes [K, T] since the last call."""
        taken = np.concatenate([self.codes[:, :0], *self.new], axis=1)
        self.new.clear()
        return taken

    @property
    def is_due(self) -> bool:
        """Return whether the frames of codebook 0 suffice for a window."""
        if self.active is None or self.active.is_over:
            return self.active is not None
        done = self.codes.shape[1]
        window = self.options.window_after(self.num_before + done - self.active.num_prefix)
        return window is not None and self.active.num_frames - done >= window + self.options.lookahead

    def span(self) -> FrameSpan:
        """Return the frames that the next window decodes, its look-ahead included."""
        assert self.active is not None, "a window needs codebook 0"
        start = max(0, self.codes.shape[1] - self.options.history) if self.options.window else 0
        new = self.active.frames(self.codes.shape[1])
        return FrameSpan(self.utterance, self.codes[:, start:], new, self.generator, start)

    def accept(self, codes: Codes) -> None:
        """Add the codes [K, T] of a window, without its look-ahead unless nothing follows."""
        assert self.active is not None, "a window needs codebook 0"
        if self.active.is_over:
            self.is_complete, self.is_over = self.active.is_complete, True
        elif self.options.lookahead:
            codes = codes[:, : -self.options.lookahead]
        self.codes = np.concatenate([self.codes, codes], axis=1)
        self.new.append(codes)


class StreamDecoder:
    """The utterances that are decoded at a time; more may join after any step."""

    def __init__(self, model: ValleModel) -> None:
        self._model = model
        self._batch = FrameBatch(model)
        self._streams: list[UtteranceStream] = []
        self._whole: list[UtteranceStream] = []

    @property
    def is_empty(self) -> bool:
        """Return whether every utterance is over."""
        return not self._streams and not self._whole

    def add(
        self,
        conditions: Sequence[Condition],
        sampling: Sequence[SamplingOptions],
        options: Sequence[StreamOptions],
        *,
        num_before: Sequence[int],
    ) -> list[UtteranceStream]:
        """Start utterances; return their streams, in their order."""
        started = []
        for condition, sampled, streamed, before in zip(conditions, sampling, options, num_before, strict=True):
            # A window is emitted before the sentence ends, so nothing could choose between draws of the sentence.
            drawn = sampled.model_copy(update={"likeliest_of": 1}) if streamed.window else sampled
            utterance = Utterance(condition, drawn)
            generator = rest_generator(sampled.seed)
            started.append(UtteranceStream(utterance, streamed, before, condition.prefix, generator))
        by_frame = [stream for stream in started if _is_by_frame(stream.utterance.options)]
        states = self._batch.add([stream.utterance for stream in by_frame])
        for stream, state in zip(by_frame, states, strict=True):
            stream.active = state
        self._streams += by_frame
        self._whole += [stream for stream in started if stream.active is None]
        return started

    def step(self) -> list[UtteranceStream]:
        """Decode a frame of every utterance; return the streams with new codes, and those that are over."""
        self._batch.step()
        due = [stream for stream in self._streams if stream.is_due]
        for stream, codes in zip(due, self._decode_windows(due), strict=True):
            stream.accept(codes)
        self._streams = [stream for stream in self._streams if not stream.is_over]
        return due + self._decode_whole()

    def cancel(self, stream: UtteranceStream) -> None:
        """Remove an utterance whose codes are no longer wanted."""
        stream.is_over = True
        if stream.active is not None:
            stream.active.is_over = True
        self._streams = [other for other in self._streams if other is not stream]
        self._whole = [other for other in self._whole if other is not stream]

    def _decode_windows(self, due: Sequence[UtteranceStream]) -> list[Codes]:
        return apply_by_group(
            due,
            lambda stream: stream.utterance.condition.task,
            lambda _, group: decode_rest(self._model, [stream.span() for stream in group]),
        )

    def _decode_whole(self) -> list[UtteranceStream]:
        """Decode the utterances whose frames are not known one after the other."""
        done, self._whole = self._whole, []
        utterances = [stream.utterance for stream in done]
        decoded = decode(self._model, [one.condition for one in utterances], [one.options for one in utterances])
        for stream, speech in zip(done, decoded, strict=True):
            stream.codes = np.concatenate([stream.codes, speech.codes], axis=1)
            stream.new.append(speech.codes)
            stream.is_complete, stream.is_over = speech.is_complete, True
        return done


def _is_by_frame(options: SamplingOptions) -> bool:
    is_whole = options.beam.width > 0 or options.likeliest_of > 1 or options.refine
    return options.decoding == "ar" and not is_whole
