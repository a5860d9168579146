"""From a speech request to the bytes of its answer: text, voice, tempo, watermark, encoding."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from valle.serving.errors import RefusedRequest
from valle.synthesis.options import NUM_SEEDS, SamplingOptions
from valle.synthesis.speech_tags import speech_tags
from valle.synthesis.streaming.encoder import AudioEncoder
from valle.synthesis.streaming.tempo import Tempo
from valle.watermark import Watermark, open_watermark

if TYPE_CHECKING:
    from valle.audio import Samples
    from valle.serving.options import LiveSpeechRequest, ServeOptions, SpeechRequest
    from valle.serving.voices import VoiceBank
    from valle.synthesis.streaming.narration import Chunk, Narration
    from valle.synthesis.synthesizer import Prompt, Synthesizer

SYNTHETIC = "X-Synthetic-Speech"
"""Header of every answer with speech."""
_SEED_DIGITS = 32
_SEED_VOICE = "seed-"
# Names of models that any program sends; a server has one model.
_ALIASES = ("valle", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")


@dataclass(frozen=True, slots=True)
class Speaker:
    """The checkpoint of a server, with the sampling of its card and its voices."""

    synthesizer: Synthesizer
    sampling: SamplingOptions
    voices: VoiceBank
    options: ServeOptions

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return self.synthesizer.codec.spec.sample_rate

    @property
    def model_id(self) -> str:
        """Name of the checkpoint."""
        return self.synthesizer.card.checkpoint_id

    def prepare(self, request: SpeechRequest, recording: Prompt | None = None) -> PreparedSpeech:
        """Check a request and phonemize its text; a `recording` takes the place of its voice.

        Raises RefusedRequest for an unknown model or voice and a long text, ConfigurationError for a text that cannot
        be spoken.
        """
        self._check(request)
        self.check_length(len(request.input))
        language = self.synthesizer.language_of(request.input, request.language)
        prompt, sampling = self.voice_of(request, recording)
        # Loaded with the first request: routes and options of the server need no decoding.
        from valle.synthesis.streaming.engine import narrate

        narration = narrate(
            self._adapted(request),
            request.input,
            prompt,
            language=language,
            sampling=sampling,
            long_form=request.long_form,
            options=self.options.streaming,
        )
        return PreparedSpeech(narration, request, self, self._tags(prompt, sampling), len(request.input))

    def prepare_live(self, request: LiveSpeechRequest) -> PreparedSpeech:
        """Check a request whose text follows. Raises as `prepare`."""
        from valle.synthesis.streaming.engine import open_narration

        self._check(request)
        prompt, sampling = self.voice_of(request)
        narration = open_narration(
            self._adapted(request),
            prompt,
            language=request.language,
            sampling=sampling,
            long_form=request.long_form,
            options=self.options.streaming,
        )
        return PreparedSpeech(narration, request, self, self._tags(prompt, sampling), 0)

    def _tags(self, prompt: Prompt | None, sampling: SamplingOptions) -> dict[str, str]:
        return speech_tags(self.model_id, None if prompt is None else prompt.codes, sampling)

    def check_length(self, num_characters: int) -> None:
        """Return if a text may have as many characters. Raises RefusedRequest."""
        longest = self.options.limits.characters
        if num_characters > longest:
            message = f"The text has {num_characters:,} characters, and at most {longest:,} are spoken."
            raise RefusedRequest(400, message, "string_above_max_length")

    def _check(self, request: LiveSpeechRequest) -> None:
        if request.model not in (self.model_id, *_ALIASES):
            raise RefusedRequest(404, f"There is no model {request.model!r}; use {self.model_id}.", "model_not_found")
        if request.instructions:
            raise RefusedRequest(400, "The model follows no instructions; leave them out.", "unsupported_parameter")

    def _adapted(self, request: LiveSpeechRequest) -> Synthesizer:
        """Return the synthesizer with the adapters of a request. Raises RefusedRequest for an unknown one."""
        if request.adapters is None:
            return self.synthesizer
        known = self.synthesizer.adapters
        if unknown := sorted(set(request.adapters) - set(known)):
            message = f"There is no adapter {unknown[0][:64]!r}; this server has {', '.join(known) or 'none'}."
            raise RefusedRequest(404, message, "adapter_not_found")
        return replace(self.synthesizer, adapters=request.adapters)

    def voice_of(
        self, request: LiveSpeechRequest, recording: Prompt | None = None
    ) -> tuple[Prompt | None, SamplingOptions]:
        """Return the prompt and the sampling of a request; a seed that is its voice is part of the sampling.

        Raises RefusedRequest for an unknown voice, ConfigurationError for options that contradict each other.
        """
        prompt, seed = (recording, None) if recording is not None else self.find_voice(request.voice_name)
        sampling = request.sampling.over(self.sampling)
        return prompt, sampling if seed is None else sampling.model_copy(update={"seed": seed})

    def find_voice(self, name: str) -> tuple[Prompt | None, int | None]:
        """Return the prompt of a voice of the bank, or a seed. Raises RefusedRequest for an unknown one."""
        number = name.removeprefix(_SEED_VOICE)
        # Python converts no numbers of thousands of digits.
        if name != number and number.isdecimal() and len(number) <= _SEED_DIGITS and int(number) < NUM_SEEDS:
            return None, int(number)
        found = self.voices.find(name)
        if found is None:
            message = (
                f"There is no voice {name[:64]!r}; add it at /v1/voices, or use {_SEED_VOICE}1, {_SEED_VOICE}2, ..."
            )
            raise RefusedRequest(404, message, "voice_not_found")
        return found[1], None


@dataclass(frozen=True, slots=True)
class PreparedSpeech:
    """A checked request with its narration, ready for the scheduler."""

    narration: Narration
    request: LiveSpeechRequest
    speaker: Speaker
    tags: Mapping[str, str]
    num_characters: int

    async def encode(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[bytes]:
        """Yield the bytes of the answer in its format, each as soon as its samples are known."""
        request, rate = self.request, self.speaker.sample_rate
        encoder = AudioEncoder(request.response_format, rate, self.tags)
        tempo = Tempo(request.speed, rate)
        watermark = open_watermark(rate) if self.speaker.options.watermark else None
        left = round(self.speaker.options.limits.speech_seconds * rate)
        async for chunk in chunks:
            for samples in _processed(chunk.samples, tempo, watermark):
                if content := encoder.push(samples[:left]):
                    yield content
                left -= len(samples)
            if left <= 0:
                break
        for samples in _finished(tempo, watermark):
            if content := encoder.push(samples[: max(0, left)]):
                yield content
        if content := encoder.finish():
            yield content

    async def events(self, contents: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the bytes of an answer as server-sent events."""
        num_bytes = 0
        async for content in contents:
            num_bytes += len(content)
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(content).decode("ascii")})
        characters, frames = self.num_characters, self.narration.num_frames
        usage = {"input_tokens": characters, "output_tokens": frames, "total_tokens": characters + frames}
        yield _event({"type": "speech.audio.done", "usage": usage})


def _event(content: Mapping[str, object]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()


def _processed(samples: Samples, tempo: Tempo, watermark: Watermark | None) -> Iterator[Samples]:
    paced = tempo.push(samples)
    yield paced if watermark is None else watermark.push(paced)


def _finished(tempo: Tempo, watermark: Watermark | None) -> Iterator[Samples]:
    paced = tempo.finish()
    if watermark is None:
        yield paced
    else:
        yield watermark.push(paced)
        yield watermark.finish()
