"""A checkpoint of ours as a system that an evaluation measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from valle.backends.registry import Backends
from valle.checkpoints.runs import CheckpointSummary
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.base import LONGEST_SECONDS
from valle.evaluation.systems.control_speech import decoder_revision
from valle.synthesis.options import DEFAULT_BEST_OF, BestOfOptions, SamplingOptions
from warehouse.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class CheckpointSystem:
    """A checkpoint of ours. The trial is added to the seed of the sampling; `batch` utterances are spoken at a time."""

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
        # What was said before must keep its name when an option is added that was off then.
        options = [self.sampling, *([self.best_of] if self.best_of.count > 1 else [])]
        said = " ".join(one.model_dump_json(exclude_defaults=True) for one in options)
        return f"{self.summary.checkpoint_id} {codec} {said}"

    @property
    def checkpoint_id(self) -> str | None:
        """See `System`."""
        return self.summary.checkpoint_id

    @property
    def longest_seconds(self) -> float:
        """See `System`."""
        return max(LONGEST_SECONDS, self.sampling.max_seconds + 1)

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """See `System`. An item of which the model says nothing at all is a failure."""
        # Torch takes seconds, and an evaluation whose speech is there needs none of it.
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
    """The decoder that gives the codes a voice; of a codec that is not ours only its name."""
    try:
        return decoder_revision(codec)
    except ConfigurationError:
        return codec
