"""Options that all commands of a checkpoint share, and what they do with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from valle.synthesis.options import SamplingOptions, read_sampling
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.synthesizer import Synthesizer


class CheckpointChoice(Protocol):
    """The options that name a checkpoint."""

    @property
    def run(self) -> str | None:
        """Name of a training run."""

    @property
    def checkpoint(self) -> Path | None:
        """A checkpoint directory."""

    @property
    def data(self) -> Path | None:
        """Root of all data."""


class CheckpointOptions(BaseModel):
    """Options of a command that runs a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str | None = None
    """Name of a training run, whose newest checkpoint is used. By default the embedded checkpoint, or a run with a
    better measured word error rate on the same sentences."""
    checkpoint: Path | None = None
    """A checkpoint directory, instead of a run."""
    device: str = "cpu"
    """Torch device."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


class SpeechOptions(CheckpointOptions):
    """Options of a command that makes speech."""

    out: Path = Path("speech.wav")
    """Audio file: .wav, .flac or .ogg."""
    codes: Path | None = None
    """File for the codes, too: .npy, int16 [codebooks, frames]."""
    language: str = "en"
    """ISO 639-1 code."""
    sampling: SamplingOptions | None = None
    """Sampling; what is left open is as the training of the checkpoint set it."""


def check_suffixes(out: Path | None, codes: Path | None) -> None:
    """Return if the files can be written by their suffixes. Raises ConfigurationError."""
    if out is not None and out.suffix not in (".wav", ".flac", ".ogg"):
        raise ConfigurationError(f"--out must end in .wav, .flac or .ogg, not {out.name!r}.")
    if codes is not None and codes.suffix != ".npy":
        raise ConfigurationError(f"--codes must end in .npy, not {codes.name!r}.")


def find_checkpoint(options: CheckpointChoice) -> Path:
    """Return the directory of the checkpoint that the options name, or of the default one, whose reason is printed."""
    from valle.synthesis import default_checkpoint

    directory, reason = default_checkpoint.find_checkpoint(
        data=options.data, run=options.run, checkpoint=options.checkpoint
    )
    if reason is not None:  # on standard error: standard output has the file and scores only
        sys.stderr.write(f"valle: {reason}\n")
    return directory


def detected_language(language: str, text: str, familiar: Sequence[str]) -> str:
    """Return a language, or for `auto` that of the text, which is printed; a guess prefers `familiar` languages.

    Raises ConfigurationError for `auto` without a text.
    """
    if language != "auto":
        return language
    if not text:
        raise ConfigurationError("--language auto detects the language of a text; name that of a recording.")
    from valle.text.language import detect_language

    found = detect_language(text, familiar)
    doubt = "" if found.is_sure else ", but the text is too short to be sure; set --language"
    sys.stderr.write(f"valle: the language of the text is {found.language} ({found.probability:.2f}){doubt}.\n")
    return found.language


def open_synthesizer(options: SpeechOptions) -> tuple[Synthesizer, SamplingOptions]:
    """Load the checkpoint of the options, and complete their sampling by what its training set."""
    from valle.backends.registry import Backends
    from valle.synthesis.synthesizer import Synthesizer

    check_suffixes(options.out, options.codes)
    checkpoint = find_checkpoint(options)
    synthesizer = Synthesizer.load(checkpoint, Backends(device=options.device))
    return synthesizer, (options.sampling or SamplingOptions()).over(read_sampling(checkpoint))
