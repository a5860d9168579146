"""Target speaker extraction: of two speakers the one of the prompt."""

from pydantic import Field

from valle.model.layout import Marker
from valle.tasks.base import MixtureKind
from valle.tasks.mixtures.mixture import MixtureTask
from valle.tasks.tts import TtsOptions


class ExtractionOptions(TtsOptions):
    """Option of the training mix."""

    extraction_ratio: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Ratio of rows that extract the speaker of a prompt from two; needs mixtures (`valle data mix`).",
    )


class ExtractionTask(MixtureTask):
    """Target speaker extraction; see the module."""

    name = "tse"
    marker = Marker.TSE
    kinds = (MixtureKind.SPEAKER,)
    needs_prompt = True

    def ratio(self, options: ExtractionOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.extraction_ratio


EXTRACTION = ExtractionTask()
