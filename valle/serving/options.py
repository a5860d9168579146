"""Options of `valle serve` and the bodies of its requests."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from valle.synthesis.options import LongFormOptions, Precision, SamplingOptions, StreamOptions


class ServeLimits(BaseModel):
    """Limits of what one client can make the server do."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    active: int = Field(default=8, ge=1, le=256)
    """Texts that are spoken at a time, in one batch."""
    waiting: int = Field(default=16, ge=0, le=10_000)
    """Further texts that wait; one more is answered with 429."""
    characters: int = Field(default=4096, ge=1, le=1_000_000)
    """Most characters of a text."""
    upload_bytes: int = Field(default=10_000_000, ge=1000, le=1_000_000_000)
    """Most bytes of a request."""
    speech_seconds: float = Field(default=600.0, gt=0, le=36_000)
    """Longest speech of one request; it is cut there."""
    idle_seconds: float = Field(default=30.0, gt=0, le=3600)
    """Longest wait for the next piece of a text that arrives in pieces; its place is free afterwards."""
    shutdown_seconds: int = Field(default=30, ge=0, le=3600)
    """Seconds in which requests may finish when the server ends."""


class ServeOptions(BaseModel):
    """Options of `valle serve`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """Address that the server listens on; 0.0.0.0 for other machines."""
    port: int = Field(default=8080, ge=1, le=65535)
    """Port of the server."""
    names: tuple[str, ...] = ()
    """Further host names by which clients reach the server; requests for other names are refused."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may use the server; by default pages of other origins are refused."""
    key_file: Path | None = None
    """File with one API key per line; by default one key is made in the folder `serve` of the data root."""
    show_key: bool = False
    """Print the first API key and start nothing."""
    run: str | None = None
    """Name of a training run, whose newest checkpoint speaks; by default as `valle speak` chooses."""
    checkpoint: Path | None = None
    """A checkpoint directory, instead of a run."""
    lora: tuple[str, ...] = ()
    """Files of adapters that were trained on this checkpoint, each with its strength if it is not 1, as in `valle
    speak`; requests choose others by `adapters`."""
    device: str = "cpu"
    """Torch device."""
    precision: Precision = "fp32"
    """Number type of the weights, as in `valle speak`: fp32, bf16, fp16 or, on x86 CPUs, int8."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    watermark: bool = True
    """Mark all speech as synthetic, inaudibly; `valle watermark detect` finds the mark."""
    limits: ServeLimits = ServeLimits()
    """Bounds on the work that clients can cause."""
    streaming: StreamOptions = StreamOptions()
    """The windows of a stream."""


Strength = Annotated[float, Field(ge=-10, le=10)]
"""Factor on what an adapter adds."""


class VoiceReference(BaseModel):
    """A voice as newer OpenAI clients send it."""

    id: str


class LiveSpeechRequest(BaseModel):
    """The first message of a WebSocket whose text follows in pieces: all of a speech request but its text."""

    model_config = ConfigDict(extra="forbid")

    model: str = "valle"
    voice: str | VoiceReference
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    instructions: str | None = None
    language: str = "en"
    sampling: SamplingOptions = SamplingOptions()
    long_form: LongFormOptions = LongFormOptions()
    adapters: dict[str, Strength] | None = None

    @property
    def voice_name(self) -> str:
        """Return the name of the voice."""
        return self.voice if isinstance(self.voice, str) else self.voice.id


class SpeechRequest(LiveSpeechRequest):
    """The body of `POST /v1/audio/speech`, as OpenAI's clients send it, and four fields of this project."""

    model: str
    input: str = Field(min_length=1)
    stream_format: Literal["audio", "sse"] = "audio"
