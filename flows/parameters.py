"""The parameters of every flow: frozen pydantic models, so that the Prefect form, the command line and a YAML file
are the same thing. This module does not import Prefect.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from manifests import CorpusKind, CorpusOptions
from valle.codec.base import CodesToLearn
from valle.data.selection.select import Selection
from valle.data_root import DataRoot, open_data_root
from valle.evaluation.options import EvaluationOptions
from valle.stages.base import Stage
from valle.stages.phonemize import Phonemize
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.segment import Segment
from valle.stages.speakers import Speakers
from valle.stages.transcribe import Transcribe
from valle.training.options import TrainSettings
from warehouse.catalogue.answers import AnswerFormat


class Parameters(BaseModel):
    """What every parameter model is: frozen, strict about names, documented field by field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Located(Parameters):
    """Parameters of a flow that reads or writes the data root."""

    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""

    @property
    def data_root(self) -> DataRoot:
        """The folders below the data root."""
        return open_data_root(self.data)


class Workers(Parameters):
    """How shards are spread over the machine, or over several."""

    runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    """Threads or processes of this machine, or a Dask or Ray cluster."""
    width: int = Field(default=1, ge=1)
    """Shards at a time."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each model."""
    device: str = "cpu"
    """Torch device of the models, such as `cpu` or `cuda:0`."""
    address: str | None = None
    """Address of a running Dask scheduler or Ray head; without one a cluster is started on this machine."""


class CorpusChoice(Parameters):
    """Which corpus, and how it is laid out."""

    kind: CorpusKind
    """Layout of the corpus."""
    root: Path
    """Folder (or list) that holds it."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of the corpus in every table."""
    options: CorpusOptions = CorpusOptions()
    """What the corpus itself does not say."""


class Stages(Parameters):
    """The options of every stage."""

    segment: Segment = Segment()
    """Finding the speech in recordings; durations are in seconds."""
    transcribe: Transcribe = Transcribe()
    """Writing down what is said."""
    phonemize: Phonemize = Phonemize()
    """Turning texts into phonemes."""
    quality: Quality = Quality()
    """Scoring how good segments sound."""
    speakers: Speakers = Speakers()
    """Embedding the voices."""
    quantize: Quantize = Quantize()
    """Turning segments into codes."""

    def in_order(self) -> tuple[Stage, ...]:
        """The stages in the order of the road."""
        return (self.segment, self.transcribe, self.phonemize, self.quality, self.speakers, self.quantize)


class IngestParameters(Located):
    """Read what is new in a corpus into the tables of sources and recordings."""

    corpus: CorpusChoice
    """The corpus."""
    workers: Workers = Workers()
    """How shards are spread."""


class PrepareParameters(IngestParameters):
    """Take a corpus all the way from raw audio to codes."""

    stages: Stages = Stages()
    """Options of the stages."""


class PlanParameters(PrepareParameters):
    """Say what `prepare` would do with these parameters, without doing it."""


class QueryParameters(Located):
    """Ask the catalogue."""

    sql: str = ""
    """A query in DuckDB's SQL; give it or the name of a kept one."""
    query: str | None = None
    """Name of a kept query, such as `hours_by_language`; docs/warehouse.md lists them."""
    name: str = Field(default="answer", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """What the answer to a query of your own is called."""
    format: AnswerFormat = "csv"
    """Format of the file that is written below `reports/queries`."""

    @property
    def subject(self) -> str:
        """What is asked, in a word."""
        return self.query or self.name

    @model_validator(mode="after")
    def _is_one_question(self) -> Self:
        if bool(self.sql.strip()) == (self.query is not None):
            raise ValueError("give either `sql` or the name of a kept `query`")
        return self


class CorpusReportParameters(Located):
    """Describe everything in the catalogue in tables and plots."""


class StageParameters(Located):
    """Run one stage on a corpus that has been ingested."""

    corpus: str
    """Name of the corpus."""
    workers: Workers = Workers()
    """How shards are spread."""


class SegmentParameters(StageParameters):
    """Find the speech in recordings."""

    options: Segment = Segment()
    """Options of the stage."""


class TranscribeParameters(StageParameters):
    """Write down what is said in segments."""

    options: Transcribe = Transcribe()
    """Options of the stage."""


class PhonemizeParameters(StageParameters):
    """Turn transcripts into phonemes."""

    options: Phonemize = Phonemize()
    """Options of the stage."""


class QualityParameters(StageParameters):
    """Score how good segments sound."""

    options: Quality = Quality()
    """Options of the stage."""


class SpeakersParameters(StageParameters):
    """Embed the voice of segments."""

    options: Speakers = Speakers()
    """Options of the stage."""


class QuantizeParameters(StageParameters):
    """Turn segments into codes."""

    options: Quantize = Quantize()
    """Options of the stage."""


class SelectParameters(Located):
    """Select a training set by SQL."""

    selection: Selection
    """What to select and how to split it."""
    codec: str = "mini"
    """The codec whose codes are in force."""


class TrainParameters(Located):
    """Train a model on a training set."""

    training_set: str
    """Name of the training set."""
    run: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the run; a run that exists is resumed."""
    options: TrainSettings = TrainSettings()
    """Options of the model and the training."""
    evaluate: bool = True
    """Evaluate the finished model; only for runs of a deployment, which start another one."""


Speed = Annotated[float, Field(ge=0.5, le=2)]


class TrainCodecParameters(Located):
    """Train the embedded codec on audio; a run that exists goes on."""

    run: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the run, a folder below `runs`."""
    training_set: str | None = None
    """Name of a training set: the audio of its train split."""
    audio: list[Path] = []
    """Folders of audio, instead of a training set."""
    hours: float = Field(default=1.5, gt=0)
    """Length of the schedule, all sittings together."""
    codes: CodesToLearn = "new"
    """Codes computed from this speech, or those of the codec that is shipped, whose decoder is then learned further, so
    that stored codes stay valid."""
    adversarial_from: float = Field(default=1.0, ge=0, le=1)
    """Part of the schedule after which the decoder learns against critics; 1 is never."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest learning rate; a third of it suits a decoder that is trained already."""
    asr_encoder: str | None = None
    """ASR model whose encoder must hear reconstructions as it hears recordings, such as `tiny.en`; none by default."""
    asr_loss_weight: float = Field(default=30.0, ge=0)
    """Weight of what it hears otherwise."""
    repulsion: float = Field(default=0.25, ge=0, le=1)
    """How much outputs that differ by their noise are rewarded; at 1 noise drowns some words."""
    speeds: tuple[Speed, Speed] = (1.0, 1.0)
    """Slowest and fastest tape that the speech is played from."""
    half_backbones: bool = False
    """Learn in bfloat16: 0.7 of the time on CPUs that multiply it."""
    threads: int = Field(default=1, ge=1)
    """CPU threads."""


class CodecReportParameters(Located):
    """Measure what codecs do to speech, beside the recordings."""

    codecs: tuple[str, ...] = ("mini",)
    """Codecs: `mini`, `encodec_24khz`, `encodec_24khz+vocos`."""
    levels: tuple[int, ...] = (8, 4, 2, 1)
    """Numbers of codebooks to decode from."""
    where: str = "true"
    """SQL condition on the utterances of the lake."""
    audio: Path | None = None
    """Folder with a `corpus.tsv`, instead of the lake."""
    split: str = "heldout"
    """Split of that folder: speech that the codec was not trained on."""
    into_header: bool = False
    """Write the figures of `mini`, with the most codebooks of `levels`, into the header of its weights."""
    count: int = Field(default=30, ge=1)
    """Clips."""
    longest: float = Field(default=10.0, gt=0)
    """Seconds of the longest clip."""
    asr: str = "tiny.en"
    """ASR model that listens."""
    speaker_encoder: str = "resemblyzer"
    """Speaker encoder that compares voices."""
    scorers: tuple[str, ...] = ("dnsmos", "distillmos")
    """Models that say how natural speech is; distillmos is left out where it is not installed."""
    device: str = "cpu"
    """Torch device of the models."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each model."""

    @model_validator(mode="after")
    def _has_a_header(self) -> Self:
        if self.into_header and "mini" not in self.codecs:
            raise ValueError("only the weights of `mini` have a header; put it into `codecs`")
        return self

    @property
    def subject(self) -> str:
        """What is measured, in a word."""
        return " ".join(self.codecs)


class EvaluateParameters(EvaluationOptions, Located):
    """Synthesize test utterances with a system and measure WER and SIM-O beside the control rows.

    The system is a training run (`run`), a folder of audio (`folder`) or the command of another system (`command`).
    """

    workers: Workers = Workers()
    """How shards are distributed."""


class DemoParameters(Located):
    """The whole road on the demo corpus."""

    train_seconds: float = Field(default=120, gt=0)
    """Longest time that the small model is trained."""
    train_steps: int = Field(default=160, ge=1)
    """Updates that the small model is trained for, if there is the time."""
    evaluate_count: int = Field(default=6, ge=1)
    """Utterances that the evaluation speaks."""
    workers: Workers = Workers(width=2)
    """How shards are spread."""
