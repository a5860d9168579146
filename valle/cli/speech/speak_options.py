"""Options of `valle speak`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from valle.model.names import KernelName
from valle.synthesis.options import (
    BestOfOptions,
    LongFormOptions,
    Precision,
    Runtime,
    SamplingOptions,
    StreamOptions,
)


class SpeakOptions(BaseModel):
    """Options of `valle speak`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    text_file: Path | None = None
    """UTF-8 file with the text, instead."""
    prompt: tuple[Path, ...] = ()
    """Recording of the speaker; 3 to 6 seconds are best. Without it the seed chooses a voice. Given several times, the
    recordings follow each other in one prompt, and several speakers give a voice between theirs."""
    prompt_shares: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = ()
    """Share of each prompt, such as 0.7 and 0.3."""
    prompt_seconds: float | None = Field(default=None, ge=1, le=60)
    """Length to which the prompt is trimmed or repeated."""
    prefix_silence: float = Field(default=0.0, ge=0, le=5)
    """Seconds of silence before each sentence, which the AR continues."""
    prompt_text: str = ""
    """Text of the prompt; needed to continue it (`--sampling.continues-prompt`)."""
    out: Annotated[Path, Parameter(allow_leading_hyphen=True)] = Path("speech.wav")
    """Audio file: .wav, .flac or .ogg; - is standard output, as a WAV, with `--stream`."""
    stream: bool = False
    """Emit speech while its sentence is still synthesized."""
    play: bool = False
    """Play the speech, too; it includes `--stream`."""
    codes: Path | None = None
    """File for the codes, too: .npy, int16 [codebooks, frames]."""
    language: str = "en"
    """ISO 639-1 code of the text; `auto` detects it."""
    speech_language: str | None = None
    """ISO 639-1 code of the accent, where it is not that of the text."""
    batch: Path | None = None
    """Table of several texts, instead: tab-separated lines with the columns `out` and `text`, and optionally `prompt`,
    `language` and others, which are options of the same names; with `--task`, `source` too."""
    task: str = "tts"
    """Task, such as `tts-raw` (a text without phonemes), `ns`, `sr`, `tse`, `vc`, `svc`, `cse`, `nse`, `stt` or
    `phn`; the last have commands of their own."""
    source: Path | None = None
    """Recording that such a task is given; its text, or for `cse` and `nse` "old words=new words", is the text."""
    transcribe: bool = True
    """Transcribe the recording of such a task, and a prompt that is continued, where it has no text."""
    lexicon: Path | None = None
    """Pronunciations, a word, a tab and its IPA per line; by default `lexicon.tsv` of the data root, if it exists."""
    run: str | None = None
    """Name of a training run, whose newest checkpoint speaks. By default the embedded checkpoint, or a run with a
    better measured word error rate on the same sentences."""
    checkpoint: Path | None = None
    """A checkpoint directory, or a file that `valle export` wrote (.sft, .gguf), instead of a run."""
    lora: list[str] = []
    """Files of adapters that were trained on this checkpoint, each with its strength if it is not 1:
    `--lora a.safetensors --lora b.safetensors=0.5`."""
    device: str = "cpu"
    """Torch device."""
    precision: Precision = "fp32"
    """Number type of the weights: fp32, bf16 or fp16 for half of the memory, or int8 for a quarter and more speed on
    x86 CPUs."""
    runtime: Runtime = "torch"
    """Program that computes the trunk: torch, or llama.cpp on the CPU (`pip install 'valle[llama]'`)."""
    device_gigabytes: float | None = Field(default=None, gt=0, le=10_000)
    """Memory of the device that weights may take; blocks beyond it stay on the CPU until they compute."""
    attention: KernelName = "sdpa"
    """Kernel of attention, as in training."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    sampling: SamplingOptions | None = None
    """Sampling; what is left open is as its training set it (`valle train --options.sampling`)."""
    long_form: LongFormOptions = LongFormOptions()
    """Splitting of a long text, and joining of its sentences."""
    best_of: BestOfOptions = BestOfOptions()
    """Choice among several candidates."""
    streaming: StreamOptions = StreamOptions()
    """The windows of `--stream`."""
    watermark: bool = False
    """Mark the speech as synthetic, inaudibly; `valle watermark detect` finds the mark."""

    @property
    def is_stream(self) -> bool:
        """Return whether speech is emitted while its sentence is still synthesized."""
        return self.stream or self.play

    @property
    def is_piped(self) -> bool:
        """Return whether the speech is written to standard output."""
        return str(self.out) == "-"
