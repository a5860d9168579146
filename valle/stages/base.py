"""Define a stage: frozen options, and a function from input rows to one outcome each.

A stage knows no path, no table and no orchestration. `valle/stages/runner.py` plans what is missing, decodes the
audio, calls `process` on batches of similar length, adds the columns that all rows share and commits the rows.
`Backends` opens each model once per process.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, cast

from pydantic import ConfigDict, Field

from valle.audio import Audio, AudioLocation, Samples
from valle.backends.registry import Backends
from warehouse.catalogue.planning import InputView, StageTables
from warehouse.fingerprints import configuration_of
from warehouse.rows import Payload, Span, StageRow

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Of the options of every stage: unknown names are refused, the string under a field is its help text."""

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decibels = Annotated[float, Field(ge=-200, le=0)]


@dataclass(frozen=True, slots=True)
class AudioNeed:
    """The audio that a stage asks for: one of `NO_AUDIO`, `NATIVE_RATE` and `audio_at(hz)`."""

    is_decoded: bool
    sample_rate: int | None = None


NO_AUDIO = AudioNeed(is_decoded=False)
NATIVE_RATE = AudioNeed(is_decoded=True)


def audio_at(sample_rate: int) -> AudioNeed:
    """Return the need for audio resampled to `sample_rate` Hz."""
    return AudioNeed(is_decoded=True, sample_rate=sample_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interferer:
    """A noise, a room or a second speaker that is mixed with a segment, and the part of its audio that is used."""

    id: str
    kind: str
    licence: str
    location: AudioLocation
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfererDraw:
    """Rules of the draw of interferers: keyed by (seed, id), from noise corpora and from other speakers of a shard.

    `ratios` are the shares of the kinds `noise`, `reverb`, `speaker` and `voice`, which needs no interferer.
    """

    seed: int
    corpora: tuple[str, ...]
    ratios: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInput:
    """One unit of input: a row of the input view, with what a stage needs of its recording.

    `id` is a recording id for stages that read recordings, else a segment id. `text` and `language` are those of the
    corpus, for stages that read transcripts those of the transcript.
    """

    id: str
    recording_id: str
    corpus: str
    shard: str
    output_fingerprint: str
    location: AudioLocation
    sample_rate: int
    duration: float
    text: str | None = None
    language: str | None = None
    spans: tuple[Span, ...] = ()
    span_texts: tuple[str | None, ...] = ()
    """The text of each span; empty when no span has one."""
    mixture_kind: str | None = None
    interferer: Interferer | None = None
    """The other recording of a mixture, for a stage with `draws`."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A stage input with its decoded audio, None for a stage that needs none, and that of its interferer if any."""

    input: StageInput
    audio: Audio | None
    interference: Audio | None = None

    @property
    def samples(self) -> Samples:
        """Float32 [N] at the stage's sample rate."""
        assert self.audio is not None, "this stage declared that it needs no audio"
        return self.audio.samples


@dataclass(frozen=True, slots=True)
class Drop:
    """An outcome without a payload: a reason in one word for SQL, the observed values, and computed values if any."""

    reason: str
    detail: str
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Several:
    """The outcomes of one recording that was cut into segments."""

    outcomes: tuple[Payload | Drop, ...]


Outcome = Payload | Drop | Several


class Stage(ABC):
    """Options of one step of the pipeline, and the step itself; concrete stages are frozen dataclasses."""

    name: ClassVar[str]
    version: ClassVar[int]
    reads: ClassVar[InputView]
    writes: ClassVar[type[StageRow]]

    @property
    def variant(self) -> str | None:
        """The name under which rows of this stage are current beside those of other options; None for one at a time."""
        return None

    @property
    @abstractmethod
    def audio(self) -> AudioNeed:
        """The audio that `process` needs."""

    @property
    @abstractmethod
    def batch_seconds(self) -> float:
        """Audio of one call of `process`, padding included."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """Names and revisions of the models, found without loading them."""

    @abstractmethod
    def process(self, items: Sequence[WorkItem], models: Backends) -> Sequence[Outcome]:
        """Return one outcome per item, in their order."""

    @property
    def draws(self) -> InterfererDraw | None:
        """The interferers that `process` needs; None for most stages."""
        return None

    @property
    def effective_options(self) -> dict[str, Any]:
        """The options that change what the stage produces: fields with the metadata `neutral` do not."""
        fields = dataclasses.fields(cast(Any, self))
        return {field.name: getattr(self, field.name) for field in fields if not field.metadata.get("neutral")}

    @property
    def configuration(self) -> str:
        """The hash of name, version, effective options and model revisions; part of every fingerprint."""
        return configuration_of(self.name, self.version, self.effective_options, self.revision)

    @property
    def tables(self) -> StageTables:
        """The input view, the output table and the output's column of input ids, which is named after the input."""
        key = "recording_id" if self.reads == "recordings" else "segment_id"
        return StageTables(reads=self.reads, writes=self.writes.table, key=key)
