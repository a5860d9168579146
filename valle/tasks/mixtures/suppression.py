"""Noise suppression: the speech of a noisy or reverberant recording."""

from pydantic import Field

from valle.model.layout import Marker
from valle.tasks.base import MixtureKind
from valle.tasks.mixtures.mixture import MixtureTask
from valle.tasks.tts import TtsOptions


class SuppressionOptions(TtsOptions):
    """Option of the training mix."""

    suppression_ratio: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Ratio of rows that remove noise and reverberation from speech; needs mixtures (`valle data mix`).",
    )


class SuppressionTask(MixtureTask):
    """Noise suppression; see the module."""

    name = "ns"
    marker = Marker.NS
    kinds = (MixtureKind.NOISE, MixtureKind.REVERB)

    def ratio(self, options: SuppressionOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.suppression_ratio


SUPPRESSION = SuppressionTask()
