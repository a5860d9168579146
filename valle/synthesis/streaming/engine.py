"""Speak texts as streams: one alone, or several whose frames are decoded in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from valle.synthesis.long_form import Narrator, prepare_text
from valle.synthesis.options import (
    DEFAULT_LONG_FORM,
    DEFAULT_SAMPLING,
    DEFAULT_STREAM,
    LongFormOptions,
    SamplingOptions,
    StreamOptions,
)
from valle.synthesis.streaming.decoder import StreamDecoder, UtteranceStream
from valle.synthesis.streaming.narration import Chunk, Narration
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.synthesizer import Prompt, Synthesizer


def narrate(
    synthesizer: Synthesizer,
    text: str,
    prompt: Prompt | None = None,
    *,
    language: str = "en",
    sampling: SamplingOptions = DEFAULT_SAMPLING,
    long_form: LongFormOptions = DEFAULT_LONG_FORM,
    options: StreamOptions = DEFAULT_STREAM,
    speech_language: str | None = None,
) -> Narration:
    """Prepare a text for a `StreamEngine`. Raises ConfigurationError as `iterate_passages`."""
    sentences = prepare_text(synthesizer, text, language=language, sampling=sampling, options=long_form)
    narrator = Narrator(synthesizer, prompt, speech_language or language, sampling, long_form)
    return Narration(narrator, sentences, options)


def open_narration(
    synthesizer: Synthesizer,
    prompt: Prompt | None = None,
    *,
    language: str = "en",
    sampling: SamplingOptions = DEFAULT_SAMPLING,
    long_form: LongFormOptions = DEFAULT_LONG_FORM,
    options: StreamOptions = DEFAULT_STREAM,
) -> Narration:
    """Return a text without a sentence, which grows by `Narration.extend` until `Narration.close`.

    Raises ConfigurationError for a given duration, which one utterance can have only.
    """
    if sampling.seconds is not None:
        raise ConfigurationError("The duration of a growing text is not known; leave sampling.seconds out.")
    return Narration(Narrator(synthesizer, prompt, language, sampling, long_form), (), options, is_closed=False)


def iterate_chunks(
    synthesizer: Synthesizer,
    text: str,
    prompt: Prompt | None = None,
    *,
    language: str = "en",
    sampling: SamplingOptions = DEFAULT_SAMPLING,
    long_form: LongFormOptions = DEFAULT_LONG_FORM,
    options: StreamOptions = DEFAULT_STREAM,
    speech_language: str | None = None,
) -> Iterator[Chunk]:
    """Speak a text of any length as a stream, in bounded memory.

    With a window of 0 the codes are those of `iterate_passages`. Errors as there, before the first chunk.
    """
    narration = narrate(
        synthesizer,
        text,
        prompt,
        language=language,
        sampling=sampling,
        long_form=long_form,
        options=options,
        speech_language=speech_language,
    )
    return _run(StreamEngine(synthesizer), narration)


def _run(engine: StreamEngine, narration: Narration) -> Iterator[Chunk]:
    engine.start([narration])
    while not engine.is_empty:
        for _, chunk in engine.step():
            yield chunk


class StreamEngine:
    """The texts that are spoken at a time; more may start after any step."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer = synthesizer
        self._decoder = StreamDecoder(synthesizer.model)
        self._waiting: list[Narration] = []  # between two sentences
        self._active: dict[UtteranceStream, Narration] = {}

    @property
    def is_empty(self) -> bool:
        """Return whether every text is over."""
        return not self._waiting and not self._active

    @property
    def has_work(self) -> bool:
        """Return whether a step does anything: not if every text waits for its next sentence."""
        return bool(self._active) or any(not narration.is_idle for narration in self._waiting)

    def start(self, narrations: Sequence[Narration]) -> None:
        """Add texts."""
        self._waiting += narrations

    def cancel(self, narration: Narration) -> None:
        """Stop speaking a text."""
        self._waiting = [other for other in self._waiting if other is not narration]
        for stream in [stream for stream, owner in self._active.items() if owner is narration]:
            self._decoder.cancel(stream)
            del self._active[stream]

    def step(self) -> list[tuple[Narration, Chunk]]:
        """Decode a frame of every text; return what is new."""
        chunks = self._begin_sentences()
        for stream in self._decoder.step():
            narration = self._active[stream]
            chunk = narration.accept(stream.take(), is_over=stream.is_over, is_complete=stream.is_complete)
            chunks.append((narration, chunk))
            if stream.is_over:
                del self._active[stream]
                if not narration.is_over:
                    self._waiting.append(narration)
        return chunks

    def _begin_sentences(self) -> list[tuple[Narration, Chunk]]:
        skipped = []
        begun = []
        waiting, self._waiting = self._waiting, []
        for narration in waiting:
            request = None
            while request is None and not (narration.is_idle or narration.is_over or narration.needs_end):
                request = narration.next_request()
                if request is None:
                    skipped.append((narration, narration.skip()))
            if request is not None:
                begun.append((narration, request))
            elif narration.needs_end:
                skipped.append((narration, narration.end()))
            elif not narration.is_over:  # idle; another thread may have extended it since it was asked
                self._waiting.append(narration)
        streams = self._decoder.add(
            [self._synthesizer.condition(request) for _, request in begun],
            [request.options for _, request in begun],
            [narration.options for narration, _ in begun],
            num_before=[narration.num_frames for narration, _ in begun],
        )
        self._active |= {stream: narration for stream, (narration, _) in zip(streams, begun, strict=True)}
        return skipped
