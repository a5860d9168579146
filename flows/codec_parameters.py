"""Parameters of the flows that train and measure codecs.

Do not import Prefect here.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flows.parameters import Located
from valle.codec.base import CodesToLearn

ALL = "all"
"""In the place of codecs: every one that can be opened here."""
Speed = Annotated[float, Field(ge=0.5, le=2)]


class TrainCodecParameters(Located):
    """Train the embedded codec on audio; a run that exists is resumed."""

    run: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the run, a folder below `runs`."""
    training_set: str | None = None
    """Name of a training set, for the audio of its train split."""
    audio: tuple[Path, ...] = ()
    """Folders of audio, instead of a training set."""
    hours: float = Field(default=1.5, gt=0, le=10_000)
    """Length of the schedule in hours, over all sessions."""
    steps: int | None = Field(default=None, ge=1, le=100_000_000)
    """Length of the schedule in steps, instead of hours: on any machine the same training."""
    batch_size: int = Field(default=12, ge=1, le=4096)
    """Crops of 1.3 s in a step."""
    fitting_batches: int = Field(default=400, ge=1, le=1_000_000)
    """Batches from which new codes are computed, in all at least a frame for each of 1024 entries; fewer suit a short
    corpus."""
    codes: CodesToLearn = "new"
    """New codes fitted to this speech, or those of the embedded codec: then only the decoder is trained, and stored
    codes stay valid."""
    sample_rate: Literal[24_000, 44_100] = 24_000
    """Hz: 24000 trains `mini`, 44100 `mini_44khz`, for which recordings need that rate too."""
    adversarial_from: float = Field(default=1.0, ge=0, le=1)
    """Part of the schedule after which training is adversarial; 1 is never."""
    learning_rate: float = Field(default=1e-3, gt=0, le=100)
    """Peak learning rate; a third of it suits a trained decoder."""
    asr_encoder: str | None = None
    """ASR model whose encoder features are compared between recording and reconstruction, such as `tiny.en`."""
    asr_loss_weight: float = Field(default=30.0, ge=0, le=1e6)
    """Weight of that feature loss."""
    repulsion: float = Field(default=0.25, ge=0, le=1)
    """Weight of the repulsive term of the energy distance; at 1 noise masks some words."""
    speeds: tuple[Speed, Speed] = (1.0, 1.0)
    """Range of the speed perturbation."""
    half_backbones: bool = False
    """Compute in bfloat16: 0.7 of the time on CPUs that support it."""
    threads: int = Field(default=1, ge=1, le=1024)
    """CPU threads."""


class CodecReportParameters(Located):
    """Measure codecs beside the recordings."""

    codecs: tuple[str, ...] = ("mini",)
    """Codecs, such as `mini` or `encodec_24khz+vocos`; `all` is every codec whose weights are stored here."""
    num_codebooks: tuple[Annotated[int, Field(ge=1, le=128)], ...] = ()
    """Numbers of codebooks to decode from, at most all of a codec; empty: all, a half, a quarter and an eighth."""
    where: str = "true"
    """SQL condition on the utterances of the lake."""
    audio: Path | None = None
    """Folder with a `corpus.tsv`, instead of the lake."""
    split: str = "heldout"
    """Split of that folder, which the codec was not trained on."""
    into_header: bool = False
    """Write the figures of `mini`, with the most of `num_codebooks`, into the header of its weights."""
    count: int = Field(default=30, ge=1, le=1_000_000)
    """Number of clips."""
    longest: float = Field(default=10.0, gt=0, le=3_600)
    """Seconds of the longest clip."""
    asr: str = "tiny.en"
    """ASR model of the word error rate."""
    speaker_encoder: str = "resemblyzer"
    """Speaker encoder of the speaker similarity."""
    scorers: tuple[str, ...] = ("dnsmos", "distillmos")
    """Models of naturalness; distillmos is left out where it is not installed."""
    device: str = "cpu"
    """Torch device of the models."""
    threads: int = Field(default=1, ge=1, le=1024)
    """CPU threads of each model."""

    @model_validator(mode="after")
    def _has_a_header(self) -> Self:
        if ALL in self.codecs and len(self.codecs) > 1:
            raise ValueError("`all` includes every codec; name no other beside it")
        if self.into_header and not {"mini", ALL} & set(self.codecs):
            raise ValueError("only the weights of `mini` have a header; put it into `codecs`")
        return self

    @property
    def subject(self) -> str:
        """Names of the codecs."""
        return " ".join(self.codecs)
