"""From a speech request to the bytes of its answer: text, voice, tempo, watermark, encoding."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valle.serving.errors import RefusedRequest
from valle.synthesis.options import NUM_SEEDS, SamplingOptions
from valle.synthesis.streaming.encoder import AudioEncoder
from valle.synthesis.streaming.tempo import Tempo
from valle.watermark import Watermark, open_watermark

if TYPE_CHECKING:
    from valle.audio import Samples
    from valle.serving.options import ServeOptions, SpeechRequest
    from valle.serving.voices import VoiceBank
    from valle.synthesis.streaming.narration import Chunk, Narration
    from valle.synthesis.synthesizer import Prompt, Synthesizer

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
        if request.model not in (self.model_id, *_ALIASES):
            raise RefusedRequest(404, f"There is no model {request.model!r}; use {self.model_id}.", "model_not_found")
        longest = self.options.limits.characters
        if len(request.input) > longest:
            message = f"The text has {len(request.input):,} characters, and at most {longest:,} are spoken."
            raise RefusedRequest(400, message, "string_above_max_length")
        if request.instructions:
            raise RefusedRequest(400, "The model follows no instructions; leave them out.", "unsupported_parameter")
        prompt, seed = (recording, None) if recording is not None else self._voice(request.voice_name)
        sampling = request.sampling.over(self.sampling)
        if seed is not None:
            sampling = sampling.model_copy(update={"seed": seed})
        # Loaded with the first request: routes and options of the server need no decoding.
        from valle.synthesis.streaming.engine import narrate

        narration = narrate(
            self.synthesizer,
            request.input,
            prompt,
            language=request.language,
            sampling=sampling,
            long_form=request.long_form,
            options=self.options.streaming,
        )
        return PreparedSpeech(narration, request, self, speech_metadata(self.model_id, prompt, sampling))

    def _voice(self, name: str) -> tuple[Prompt | None, int | None]:
        number = name.removeprefix(_SEED_VOICE)
        if name != number and number.isdecimal() and int(number) < NUM_SEEDS:
            return None, int(number)
        found = self.voices.find(name)
        if found is None:
            message = (
                f"There is no voice {name[:64]!r}; add it at /v1/voices, or use {_SEED_VOICE}1, {_SEED_VOICE}2, ..."
            )
            raise RefusedRequest(404, message, "voice_not_found")
        return found[1], None


def speech_metadata(checkpoint: str, prompt: Prompt | None, sampling: SamplingOptions) -> dict[str, str]:
    """Return the tags of generated files: that it is synthetic, by which checkpoint, prompt and options."""
    digest = "none" if prompt is None else hashlib.sha256(prompt.codes.tobytes()).hexdigest()[:16]
    options = json.dumps(sampling.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
    comment = f"Synthetic speech. checkpoint={checkpoint} prompt_codes_sha256={digest} sampling={options}"
    return {"comment": comment, "artist": f"valle {checkpoint}"}


@dataclass(frozen=True, slots=True)
class PreparedSpeech:
    """A checked request with its narration, ready for the scheduler."""

    narration: Narration
    request: SpeechRequest
    speaker: Speaker
    metadata: Mapping[str, str]

    async def encode(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[bytes]:
        """Yield the bytes of the answer in its format, each as soon as its samples are known."""
        request, rate = self.request, self.speaker.sample_rate
        encoder = AudioEncoder(request.response_format, rate, self.metadata)
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
        characters, frames = len(self.request.input), self.narration.num_frames
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
