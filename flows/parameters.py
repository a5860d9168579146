"""Parameters of every flow: frozen pydantic models, shared by the Prefect form, the command line and YAML files.

Do not import Prefect here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from manifests.corpus import CODES_KINDS, CorpusKind, CorpusOptions
from valle.codec.base import CodesToLearn
from valle.codec.specs import ENCODEC
from valle.data.selection.options import Selection
from valle.evaluation.options import EvaluationOptions
from valle.stages.align import Align
from valle.stages.base import Stage
from valle.stages.given_codes import GivenCodes, GivenPhonemes, GivenText
from valle.stages.phonemize import Phonemize
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.segment import Segment
from valle.stages.speakers import Speakers
from valle.stages.transcribe import Transcribe
from valle.training.options import TrainSettings
from warehouse.catalogue.answers import AnswerFormat

if TYPE_CHECKING:
    from manifests.corpus import Corpus
    from valle.data_root import DataRoot


class Parameters(BaseModel):
    """Base of the parameter models: frozen, strict about names, documented field by field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Located(Parameters):
    """Parameters of a flow that reads or writes the data root."""

    data: Path | None = None
    """Data root; by default `VALLE_DATA`, or `data` in the current folder."""

    @property
    def data_root(self) -> "DataRoot":
        """The data root with its folders."""
        # The command line reads this module on every start; the lake is loaded by the flows.
        from valle.data_root import open_data_root

        return open_data_root(self.data)


class Workers(Parameters):
    """Distribution of shards over the machine or a cluster."""

    runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    """Threads or processes of this machine, or a Dask or Ray cluster."""
    width: int = Field(default=1, ge=1, le=1024)
    """Shards at a time."""
    threads: int = Field(default=1, ge=1, le=1024)
    """CPU threads of each model."""
    device: str = "cpu"
    """Torch device of the models, such as `cpu` or `cuda:0`."""
    address: str | None = None
    """Address of a running Dask scheduler or Ray head; by default a cluster is started on this machine."""

    @property
    def is_local(self) -> bool:
        """True if threads or processes of this machine do the work."""
        return self.runner in ("threads", "processes")


class CorpusChoice(Parameters):
    """A corpus and its layout."""

    kind: CorpusKind
    """Layout of the corpus."""
    root: Path
    """Folder (or list) that holds it."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of the corpus in every table."""
    options: CorpusOptions = CorpusOptions()
    """Properties that the corpus itself does not declare."""

    def open(self) -> "Corpus":
        """Return the reader of the corpus. Raises ConfigurationError for a name that cannot be part of a file name."""
        from manifests.corpora.registry import open_corpus

        return open_corpus(self.kind, self.root, name=self.name, options=self.options)


class Stages(Parameters):
    """The options of every stage."""

    segment: Segment = Segment()
    """Segmentation of recordings; durations in seconds."""
    transcribe: Transcribe = Transcribe()
    """Transcription of segments."""
    align: Align | None = None
    """Words of the transcripts in time, which speech editing is trained on; off, as it costs nearly as much as
    transcription."""
    phonemize: Phonemize = Phonemize()
    """Encoding of texts as phonemes."""
    quality: Quality = Quality()
    """Quality scores of segments."""
    speakers: Speakers = Speakers()
    """Speaker embeddings."""
    quantize: Quantize = Quantize()
    """Encoding of segments with a codec."""

    def in_order(self) -> tuple[Stage, ...]:
        """Return the stages in the order of the pipeline."""
        aligned = () if self.align is None else (self.align,)
        return (self.segment, self.transcribe, *aligned, self.phonemize, self.quality, self.speakers, self.quantize)


class IngestParameters(Located):
    """Read the new sources of a corpus into the tables of sources and recordings."""

    corpus: CorpusChoice
    """The corpus."""
    workers: Workers = Workers()
    """Distribution of shards."""


class PrepareParameters(IngestParameters):
    """Prepare a corpus from raw audio to codes."""

    stages: Stages = Stages()
    """Options of the stages."""

    def stages_in_order(self) -> tuple[Stage, ...]:
        """Return the stages of the corpus; of one that is codes already, those that need no audio."""
        if self.corpus.kind in CODES_KINDS:
            return (self.stages.segment, GivenText(), GivenPhonemes(), GivenCodes(codec=self.codes_codec))
        return self.stages.in_order()

    @property
    def codes_codec(self) -> str:
        """Codec of the codes of a corpus that is codes already; `quantize.codec` names it unless it is the default."""
        chosen = self.stages.quantize.codec
        return ENCODEC if chosen == Quantize().codec else chosen


class PlanParameters(PrepareParameters):
    """Forecast what `prepare` would do with these parameters."""


class QueryParameters(Located):
    """Run SQL on the catalogue."""

    sql: str = ""
    """A query in DuckDB's SQL; give it or the name of a named query."""
    query: str | None = None
    """A named query, such as `hours_by_language`; docs/warehouse.md lists them."""
    name: str = Field(default="answer", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of the answer to `sql`."""
    format: AnswerFormat = "csv"
    """Format of the file below `reports/queries`."""

    @property
    def subject(self) -> str:
        """Name of the query."""
        return self.query or self.name

    @model_validator(mode="after")
    def _is_one_question(self) -> Self:
        if bool(self.sql.strip()) == (self.query is not None):
            raise ValueError("give either `sql` or a named `query`")
        return self


class CorpusReportParameters(Located):
    """Report on all corpora in tables and plots."""


class StageParameters(Located):
    """Run one stage on an ingested corpus."""

    corpus: str
    """Name of the corpus."""
    workers: Workers = Workers()
    """Distribution of shards."""


class SegmentParameters(StageParameters):
    """Find the speech in recordings."""

    options: Segment = Segment()
    """Options of the stage."""


class TranscribeParameters(StageParameters):
    """Transcribe segments."""

    options: Transcribe = Transcribe()
    """Options of the stage."""


class AlignParameters(StageParameters):
    """Locate the words of transcripts in the audio."""

    options: Align = Align()
    """Options of the stage."""


class PhonemizeParameters(StageParameters):
    """Encode transcripts as phonemes."""

    options: Phonemize = Phonemize()
    """Options of the stage."""


class QualityParameters(StageParameters):
    """Score the quality of segments."""

    options: Quality = Quality()
    """Options of the stage."""


class SpeakersParameters(StageParameters):
    """Compute speaker embeddings of segments."""

    options: Speakers = Speakers()
    """Options of the stage."""


class QuantizeParameters(StageParameters):
    """Encode segments with a codec."""

    options: Quantize = Quantize()
    """Options of the stage."""


class SelectParameters(Located):
    """Select a training set by SQL."""

    selection: Selection
    """Conditions and splits of the training set."""
    codec: str = "mini"
    """Codec of the codes."""


class TrainParameters(Located):
    """Train a model on a training set."""

    training_set: str
    """Name of the training set."""
    run: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the run; a run that exists is resumed."""
    options: TrainSettings = TrainSettings()
    """Options of the model and the training."""
    evaluate: bool = True
    """Evaluate the finished model in a run of its own; runs from a shell do not."""


Speed = Annotated[float, Field(ge=0.5, le=2)]


class TrainCodecParameters(Located):
    """Train the embedded codec on audio; a run that exists is resumed."""

    run: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the run, a folder below `runs`."""
    training_set: str | None = None
    """Name of a training set, for the audio of its train split."""
    audio: list[Path] = []
    """Folders of audio, instead of a training set."""
    hours: float = Field(default=1.5, gt=0, le=10_000)
    """Length of the schedule in hours, over all sessions."""
    codes: CodesToLearn = "new"
    """New codes fitted to this speech, or those of the embedded codec: then only the decoder is trained, and stored
    codes stay valid."""
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
    """Codecs, such as `mini`, `encodec_24khz` or `encodec_24khz+vocos`."""
    num_codebooks: tuple[Annotated[int, Field(ge=1, le=64)], ...] = (8, 4, 2, 1)
    """Numbers of codebooks to decode from."""
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
        if self.into_header and "mini" not in self.codecs:
            raise ValueError("only the weights of `mini` have a header; put it into `codecs`")
        return self

    @property
    def subject(self) -> str:
        """Names of the codecs."""
        return " ".join(self.codecs)


class EvaluateParameters(EvaluationOptions, Located):
    """Synthesize test utterances with a system and measure WER and SIM-O beside the control rows.

    The system is a training run (`run`), a folder of audio (`folder`) or the command of another system (`command`).
    """

    workers: Workers = Workers()
    """Distribution of shards."""


class DemoParameters(Located):
    """Run the pipeline on the demo corpora."""

    train_seconds: float = Field(default=120, gt=0, le=1e7)
    """Maximum duration of the training in seconds."""
    train_steps: int = Field(default=160, ge=1, le=1_000_000_000)
    """Steps of the training, if the time suffices."""
    evaluate_count: int = Field(default=6, ge=1, le=1_000_000)
    """Utterances of the evaluation."""
    workers: Workers = Workers(width=2)
    """Distribution of shards."""
