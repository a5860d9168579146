"""What a stage is: frozen options, and a function from input rows to exactly one outcome each.

A stage knows no path, no database and no orchestration. `valle/stages/runner.py` plans what is missing, decodes the
audio, calls `process` on length-sorted batches and commits the rows. Models come from `Backends`, which opens each
once per process. An outcome is a row of the lake: a payload, or a row with a `drop_reason`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import ConfigDict

from valle.audio import Audio, AudioLocation
from valle.backends.registry import Backends
from warehouse.rows import Span

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Of the options of every stage: unknown names are refused, the string under a field is its help text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInput:
    """One unit of input: the row that is read, joined with what the stages need to know of its recording.

    `id` and `fingerprint` belong to the *output*: the fingerprint already covers the stage's configuration and the
    fingerprint of the input row. For the segment stage `id` is a recording id, for all others a segment id.
    `text` and `language` are the corpus's own for stages that read segments, the transcript's for phonemize.
    """

    id: str
    recording_id: str
    corpus: str
    shard: str
    fingerprint: str
    location: AudioLocation
    sample_rate: int
    duration: float
    text: str | None = None
    language: str | None = None
    spans: tuple[Span, ...] = ()
    span_texts: tuple[str | None, ...] = ()
    """The text of each span; empty when no span has one."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A stage input with its decoded audio; `audio` is None for a stage that asks for none."""

    input: StageInput
    audio: Audio | None

    @property
    def samples(self) -> Any:
        """Float32 [N] at the stage's sample rate."""
        assert self.audio is not None, "this stage declared that it needs no audio"
        return self.audio.samples


class Stage(Protocol):
    """Options of one step of the road, and the step itself.

    `reads` names the input view (`recordings`, `segments` or `transcripts`), `writes` is the row class of the output.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    reads: ClassVar[str]
    writes: ClassVar[type]

    @property
    def audio_rate(self) -> int | None:
        """Hz at which `process` wants audio; 0 for the recording's own rate, None for no audio at all."""

    @property
    def batch_seconds(self) -> float:
        """Audio that one call of `process` gets, padding included."""

    def revision(self, backends: Backends) -> str:
        """Names and revisions of the models it uses, without loading them; part of the fingerprint."""

    def process(self, items: Sequence[WorkItem], backends: Backends) -> list[Any]:
        """Rows of class `writes`: one per item, but for the segment stage, which may return several per item."""

    def drop(self, source: StageInput, reason: str, detail: str) -> Any:
        """The row that says why `source` yields nothing."""
