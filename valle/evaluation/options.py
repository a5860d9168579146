"""Options of an evaluation. Importing this module loads no model library, so that command lines start fast."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from valle.evaluation.items.items import PublishedProtocol
from valle.synthesis.options import BestOfOptions, SamplingOptions


class EvaluationOptions(BaseModel):
    """The system, the items and the metric models of an evaluation.

    The system is a training run (`run`), a folder of audio (`folder`) or the command of another system (`command`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str | None = None
    """Name of a training run; its newest checkpoint is evaluated."""
    folder: Path | None = None
    """Folder of <utterance>.wav files made by another system."""
    command: str | None = None
    """Command line of another system; it answers one JSON line per utterance. Refused from a form or the API unless
    the server was started with `valle up --allow-commands`."""
    command_version: str = ""
    """Version of that system, such as a commit; part of the identity of the evaluation."""
    timeout: float = Field(default=120.0, gt=0, le=1e6)
    """Seconds that the command may use per utterance; ten minutes for its first."""
    name: str | None = None
    """Name of the folder or the command in the report; by default the folder's name or the program's."""
    protocol: PublishedProtocol | None = None
    """A published list of utterances, instead of utterances of a training set."""
    listing: Path | None = None
    """File of the published list."""
    audio: Path | None = None
    """LibriSpeech folder of the published list."""
    language: str = "en"
    """ISO 639-1 code of the published list."""
    training_set: str | None = None
    """Name of the training set that the utterances come from; by default that of the run."""
    cuts: tuple[Path, ...] = ()
    """Files of a Lhotse CutSet (.jsonl.gz), whose utterances are evaluated instead of those of a training set."""
    count: int | None = Field(default=None, ge=1, le=1_000_000)
    """Utterances, spread over the speakers; by default 20 of a training set, all of a published list."""
    trials: int = Field(default=1, ge=1, le=1_000)
    """Syntheses of each utterance, each with another seed."""
    where: str = "split = 'test'"
    """SQL condition on the items of the training set."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the choice of utterances and prompts."""
    sampling: SamplingOptions | None = None
    """Sampling of the checkpoint; options left open are those of its training."""
    best_of: BestOfOptions = BestOfOptions()
    """Candidates of each utterance and the models that choose one: not the metric models."""
    codec: str | None = None
    """Codec of the control rows; by default that of the checkpoint, or the embedded one."""
    asr: str = "tiny.en"
    """ASR model that transcribes the speech."""
    speaker_encoder: str = "resemblyzer"
    """Speaker encoder of the speaker similarity."""
    scorers: tuple[str, ...] = ("dnsmos", "distillmos")
    """Models of naturalness; distillmos is left out where it is not installed."""
    normaliser: str | None = None
    """Text normaliser of the report's first table; by default the built-in one of the language."""
    codes: bool = True
    """Quantize the speech too, with the codec of the control rows, so that SQL sees its codes."""
    batch: int = Field(default=1, ge=1, le=1_024)
    """Utterances that a checkpoint synthesizes at a time; with 1, the metric models also process one at a time. A kill
    loses at most the current batch; more than one is faster on an accelerator."""

    @property
    def subject(self) -> str:
        """A short name of the system."""
        return self.name or self.run or (self.folder.name if self.folder is not None else "a command")
