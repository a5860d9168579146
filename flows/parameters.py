"""Parameters of every flow: frozen pydantic models, shared by the Prefect form, the command line and YAML files.

Do not import Prefect here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from flows.machine.workers import Workers
from flows.runtime.form_heading import without_heading
from manifests.corpus import CODES_KINDS, CorpusKind, CorpusOptions
from valle.codec.catalogue import ENCODEC
from valle.data.selection.options import Selection
from valle.evaluation.options import EvaluationOptions
from valle.stages.align import Align
from valle.stages.base import Stage
from valle.stages.given_codes import GivenCodes, GivenPhonemes, GivenText
from valle.stages.mix import Mix
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
    mix: Mix | None = None
    """Mixtures with noise, rooms, second speakers and other voices, for the tasks that are trained on them; off."""

    def in_order(self) -> tuple[Stage, ...]:
        """Return the stages in the order of the pipeline."""
        aligned = () if self.align is None else (self.align,)
        before = (self.segment, self.transcribe, *aligned, self.phonemize, self.quality, self.speakers, self.quantize)
        return before if self.mix is None else (*before, self.mix)


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


class MixParameters(StageParameters):
    """Mix segments with noise, rooms, second speakers and other voices."""

    options: Mix = Mix()
    """Options of the stage."""


class SelectParameters(Located):
    """Select a training set by SQL."""

    selection: Selection
    """Conditions and splits of the training set."""
    codec: str = "mini"
    """Codec of the codes."""


FormSettings = Annotated[TrainSettings, BeforeValidator(without_heading)]
"""Options of a training, as a form or a caller gives them."""


class TrainParameters(Located):
    """Train a model on a training set."""

    training_set: str
    """Name of the training set."""
    run: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the run; a run that exists is resumed."""
    options: FormSettings = TrainSettings()
    """Options of the model and the training."""
    evaluate: bool = True
    """Evaluate the finished model in a run of its own; runs from a shell do not."""


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One run of a sweep: its name, its variant, and all of its options."""

    name: str
    variant: str
    options: TrainSettings


class SweepParameters(Located):
    """Train variants of a run on the same training set and compare them."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the sweep; its runs are called `<name>-<variant>-s<seed>`."""
    training_set: str
    """Name of the training set."""
    options: FormSettings = TrainSettings()
    """Options of every run."""
    variants: dict[str, dict[str, Any]]
    """Options of each variant that differ from these, by the name of the variant."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the runs of each variant."""
    slots: int | None = Field(default=None, ge=64)
    """Slots of every run, from which the steps follow, so that batches of other sizes see as many; overrides
    `max_steps`."""
    evaluate: bool = False
    """Measure WER and SIM-O of every run, too."""
    count: int = Field(default=20, ge=1)
    """Utterances of each evaluation."""
    decode_frames: int = Field(default=1500, ge=0, le=100_000)
    """Frames of one utterance whose decoding is timed on the CPU, for one run of each variant; 0: none."""

    def runs(self) -> list[SweepRun]:
        """Return all runs, the seeds of a variant together. Raises ValidationError for options that do not exist."""
        base = self.options.model_dump()
        found = []
        for variant, changes in self.variants.items():
            for seed in self.seeds:
                options = TrainSettings.model_validate(base | {"seed": seed} | changes)
                if self.slots is not None:
                    steps = max(1, round(self.slots / (options.batch_tokens * options.accumulate)))
                    options = options.model_copy(update={"max_steps": steps})
                found.append(SweepRun(f"{self.name}-{variant}-s{seed}", variant, options))
        return found

    @model_validator(mode="after")
    def _check_variants(self) -> Self:
        for variant in self.variants:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", variant):
                raise ValueError(f"The variant {variant!r} must be a name of small letters, digits, - and _.")
        if not self.variants or not self.seeds:
            raise ValueError("A sweep needs a variant and a seed at least.")
        self.runs()  # a wrong option should not wait for the variant before it
        return self


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
