"""Evaluate a checkpoint of the lake."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from valle.backends.registry import Backends
from valle.checkpoints.runs import CheckpointSummary
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.base import MAX_SECONDS
from valle.evaluation.systems.control_speech import decoder_revision
from valle.synthesis.options import DEFAULT_BEST_OF, BestOfOptions, SamplingOptions
from warehouse.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class CheckpointSystem:
    """A checkpoint; the trial is added to the sampling seed, and `batch` utterances are synthesized at a time."""

    checkpoint: Path
    summary: CheckpointSummary
    sampling: SamplingOptions
    batch: int = 1
    best_of: BestOfOptions = DEFAULT_BEST_OF

    @property
    def name(self) -> str:
        """See `System`."""
        return self.summary.checkpoint_id

    @property
    def identity(self) -> str:
        """See `System`."""
        codec = _decoder(self.summary.codec.name)
        # Defaults are excluded, so that a new option that is off does not rename earlier evaluations.
        options = [self.sampling, *([self.best_of] if self.best_of.count > 1 else [])]
        settings = " ".join(option.model_dump_json(exclude_defaults=True) for option in options)
        return f"{self.summary.checkpoint_id} {codec} {settings}"

    @property
    def checkpoint_id(self) -> str | None:
        """See `System`."""
        return self.summary.checkpoint_id

    @property
    def max_seconds(self) -> float:
        """See `System`."""
        return max(MAX_SECONDS, self.sampling.max_seconds + 1)

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """See `System`. An item for which the model generates no code is a failure."""
        # Imported here: torch loads for seconds, and an evaluation whose speech exists does not need it.
        from valle.evaluation.systems.checkpoint_speech import speak_items

        speak_items(
            items,
            self.checkpoint,
            name=self.name,
            sampling=self.sampling,
            directory=directory,
            backends=backends,
            batch=self.batch,
            best_of=self.best_of,
        )


def _decoder(codec: str) -> str:
    """Return the revision of the decoder, or the name alone of a codec that is not registered."""
    try:
        return decoder_revision(codec)
    except ConfigurationError:
        return codec
