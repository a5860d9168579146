"""`valle speak "text" --prompt voice.wav --out speech.wav`"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from pydantic_settings import CliPositionalArg

from valle.audio import AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.backends import Backends
from valle.cli.arguments import parse, say
from valle.place import place
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Synthesizer
from valle.training.checkpoint import latest_checkpoint
from warehouse.errors import CheckpointError, ConfigurationError


class SpeakOptions(BaseModel):
    """Say a text in the voice of a prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    text: CliPositionalArg[str]
    """What to say."""
    prompt: Path | None = None
    """Recording that sets the voice; 3 to 6 seconds of one speaker are best."""
    prompt_text: str = ""
    """What the prompt says; only needed to go on from it (`--sampling.continues-prompt`)."""
    out: Path = Path("speech.wav")
    """File for the speech: .wav, .flac or .ogg."""
    language: str = "en"
    """ISO 639-1 code."""
    run: str | None = None
    """Name of a training run; its newest checkpoint speaks. By default the run that was trained last."""
    checkpoint: Path | None = None
    """A checkpoint directory, instead of a run."""
    device: str = "cpu"
    """Torch device."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    sampling: SamplingOptions = SamplingOptions()
    """How speech is sampled."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Speak one text."""
    options = parse(SpeakOptions, command, arguments)
    if options.out.suffix not in (".wav", ".flac", ".ogg"):
        raise ConfigurationError(f"--out must end in .wav, .flac or .ogg, not {options.out.name!r}.")
    synthesizer = Synthesizer.load(_checkpoint(options), Backends(device=options.device))
    prompt = None
    if options.prompt is not None:
        try:
            audio = read_audio(AudioLocation(str(options.prompt)), synthesizer.codec.spec.sample_rate)
        except UnreadableAudio as error:
            raise ConfigurationError(f"The prompt cannot be read ({error}); give a recording of speech.") from error
        prompt = synthesizer.prompt(audio, options.prompt_text, options.language)
    speech = synthesizer.speak_text(options.text, prompt, language=options.language, options=options.sampling)
    if not len(speech.audio.samples):
        sys.stderr.write("valle: the model ended before it said anything; try another --sampling.seed.\n")
        return 1
    write_audio(options.out, speech.audio)
    note = "" if speech.is_complete else " (cut at --sampling.max-seconds)"
    say(f"{options.out}: {speech.duration:.2f} s of speech in {speech.seconds:.1f} s{note}")
    return 0


def _checkpoint(options: SpeakOptions) -> Path:
    if options.checkpoint is not None:
        return options.checkpoint
    runs = place(options.data).runs
    run_dirs = [runs / options.run] if options.run else sorted(runs.glob("*"), key=lambda path: path.stat().st_mtime)
    found = [checkpoint for path in run_dirs if (checkpoint := latest_checkpoint(path)) is not None]
    if not found:
        raise CheckpointError(
            f"There is no checkpoint below {runs}; train one with `valle train`, or run `valle demo`."
        )
    return found[-1]
